"""etcd membership as kubeadm changes it: find the members, add a learner, start it, make it a voter; or take it out."""

import datetime
import time

from . import cluster, dial, etcdapi, faults, manifests, node, say

RETRY = 0.5  # seconds between two calls: kubeadm's retry interval
WAIT = (5.0, 8)  # seconds between looks at the new member, and how many of them: 40 s
POLL = 0.05  # seconds; the stand-in looks more often than it has to
ANNOTATION = "kubeadm.kubernetes.io/etcd.advertise-client-urls"
SELECTOR = "labelSelector=component%3Detcd,tier%3Dcontrol-plane"
# gRPC's names for the codes that etcd's refusals carry.
CODES = {4: "DeadlineExceeded", 5: "NotFound", 9: "FailedPrecondition", 13: "Internal", 14: "Unavailable"}
NOT_IN_SYNC = "etcdserver: can only promote a learner member which is in sync with leader"
PROBLEMS = (dial.Unreachable, etcdapi.EtcdError)


def client(api, certs, limit):
    """A client of all members: first by the annotations of the etcd pods, then by etcd's own list."""

    def endpoints():
        pods = api.get(f"{cluster.SYSTEM}/pods?{SELECTOR}")["items"]
        return [
            pod["metadata"]["annotations"][ANNOTATION] for pod in pods if ANNOTATION in pod["metadata"]["annotations"]
        ]

    found = cluster.retry(endpoints, limit)
    if not found:
        raise say.Failure("could not retrieve the list of etcd endpoints")
    made = etcdapi.Client(
        found,
        certs.file("etcd/ca", ".crt"),
        certs.file("etcd/healthcheck-client", ".crt"),
        certs.file("etcd/healthcheck-client", ".key"),
    )
    _repeat(made.sync, limit)
    return made


def _repeat(work, limit, method=None):
    """Calls `work` every half second until it succeeds, `limit` seconds at most. Raises say.Failure with its error."""
    end, refusals = time.monotonic() + limit, []
    while True:
        try:
            return work()
        except PROBLEMS as error:
            refusals.append(error)
            if time.monotonic() + RETRY > end:
                for each in refusals if method else []:
                    _complain(method, *each.args, code=getattr(each, "code", 14))
                raise say.Failure(str(error)) from error
        time.sleep(RETRY)


def check_health(etcd, limit):
    """Waits up to `limit` seconds for each member that has an address; goes on as long as most of them answer."""
    silent = 0
    for endpoint in list(etcd.endpoints):
        try:
            _repeat(lambda endpoint=endpoint: etcd.status(endpoint), limit)
        except say.Failure as failure:
            silent += 1
            if 2 * silent >= len(etcd.endpoints):
                raise say.Failure(f"could not check the health of the etcd cluster: {failure}") from failure


def _complain(method, text, code):
    """One refusal as etcd's client library logs it. In the captures they stand only where the whole call failed."""
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    say.err(
        f'{{"level":"warn","ts":"{stamp}","logger":"etcd-client","caller":"v3@v3.6.8/retry_interceptor.go:65",'
        '"msg":"retrying of unary invoker failed","target":"etcd-endpoints://0x0/members",'
        f'"method":"/etcdserverpb.Cluster/{method}","attempt":0,'
        f'"error":"rpc error: code = {CODES.get(code, "Unknown")} desc = {text}"}}'
    )


def join(etcd, files, limit):
    """The whole way of a new member from the announcement to its vote; each call may take `limit` seconds."""
    mine = f"https://{node.bracketed(files.local['advertiseAddress'])}"
    peer = f"{mine}:2380"
    name = files.registration["name"]

    def add():
        # A member with this address that is in the list already is taken for ours: so does kubeadm.
        if not any(peer in each["peerURLs"] for each in etcd.members()):
            etcd.add_learner(peer)
        return etcd.members()

    members = _repeat(add, limit, "MemberAdd")
    say.out("[etcd] Announced new etcd member joining to the existing etcd cluster")
    say.out('[etcd] Creating static Pod manifest for "etcd"')
    files.etcd(
        [
            (name if peer in each["peerURLs"] else each["name"] or f"{each['ID']:x}", each["peerURLs"][0])
            for each in members
        ]
    )
    faults.after("join", "etcd-join/start")
    _promote(etcd, next(each["ID"] for each in members if peer in each["peerURLs"]), limit)
    say.out(
        f"[etcd] Waiting for the new etcd member to join the cluster. This can take up to {int(WAIT[0] * WAIT[1])}s"
    )
    _wait_for(etcd, f"{mine}:2379")


def _promote(etcd, member, limit):
    """Makes the learner a voter as soon as it has caught up."""
    end = time.monotonic() + limit
    while True:
        try:
            etcd.promote(member)
            return
        except PROBLEMS as error:
            if time.monotonic() > end:
                # etcd 3.4 may see that the member is no learner at all; 3.6 has stopped at the check before.
                text = NOT_IN_SYNC if "can only promote a learner member" in str(error) else str(error)
                for _ in range(int(limit / RETRY)):
                    _complain("MemberPromote", text, getattr(error, "code", 14))
                raise say.Failure(text) from error
        time.sleep(POLL)


def _wait_for(etcd, endpoint):
    end = time.monotonic() + WAIT[0] * WAIT[1]
    while True:
        try:
            etcd.status(endpoint)
            return
        except PROBLEMS as error:
            if time.monotonic() > end:
                raise say.Failure("timeout waiting for etcd cluster to be available") from error
        time.sleep(POLL)


def leave(api, certs, limit, address):
    """Takes the member at an address out of the cluster, unless it is the only one. Raises say.Failure."""
    etcd = client(api, certs, limit)
    members = etcd.members()
    if len(members) == 1:
        return
    mine = [each["ID"] for each in members if f"https://{node.bracketed(address)}:2380" in each["peerURLs"]]
    if mine:
        _repeat(lambda: etcd.remove(mine[0]), limit)


def local_data_folder():
    """Where the etcd of this node's static pod keeps its data; kubeadm's default without such a pod."""
    pod = manifests.read_all().get("etcd.yaml")
    if not pod:
        return "/var/lib/etcd"
    volumes = {each["name"]: each["hostPath"]["path"] for each in pod["spec"]["volumes"]}
    return volumes.get("etcd-data", "/var/lib/etcd")
