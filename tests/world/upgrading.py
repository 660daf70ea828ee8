"""The story of `dev/demo --upgrade`: a cluster comes to the next minor release of Kubernetes by machines of a new image."""

from contextlib import suppress
from pathlib import Path

from . import kubenodes, workers
from .account import CONTROL_PLANE, GROUPS, WORKER
from .kubeclient import Kube, trust
from .releases import ReleaseSampler
from .telling import Teller
from .writing import Writer

OLD, NEW = "v1.35.6", "v1.36.3"
WORKERS = 2
APPS = "/apis/apps/v1/namespaces/kube-system"
# How long the client may be kept from writing at worst. Removing etcd's leader hands over first, so the rest is the client's own wait.
LONGEST_GAP = 10.0

# What the worlds of this story have beside a hook on both sides and agents.
SETTINGS = {"kubernetes_upgrade": "by-image"}
OPTIONS = {
    "kubernetes": OLD, "etcd": "3.5.30", "workers": WORKERS, "worker_terminate_hook": "leave",
    "worker_settings": {"group": GROUPS[WORKER], "terminate_hook": "leave"},
}  # fmt: skip


def upgrade(teller: Teller) -> None:
    teller.act(f"Three machines and {WORKERS} workers boot from an image with Kubernetes {OLD}.")
    teller.follow()
    teller.until(lambda: not workers.wrong(workers.look(teller.folder), WORKERS), "the workers are not Ready")
    before = addons(teller)
    endpoint, disk = teller.ask("status")["endpoint"], Path(teller.node(1)["folder"]) / "disk"
    writer, sampler = Writer(endpoint, trust(disk)), ReleaseSampler(teller.folder)
    with writer as written, sampler as releases:
        _control_plane(teller)
        _addons(teller, before)
        _workers(teller)
    teller.facts |= {"client": written.describe(), "releases": releases.describe()}
    teller.act(f"A client wrote all the while: {written.writes} times, and was kept from it for {written.longest_gap:.1f} s at worst.")
    teller.expect(written.longest_gap < LONGEST_GAP, f"the client was kept from writing for {written.longest_gap:.1f} s")
    lost = writer.is_lost()
    teller.expect(not lost, lost)
    shown = ", then ".join(" and ".join(each) for each in releases.seen)
    print(f"The API servers were {shown}.", file=teller.out, flush=True)
    teller.expect(releases.apart == 1, f"the API servers were {releases.apart} minor releases apart")
    teller.expect(releases.seen[-1:] == [[NEW]], f"in the end the API servers are {releases.seen[-1:]}")
    teller.is_whole(3)


def _control_plane(teller: Teller) -> None:
    """Machine by machine, each new one a voter before an old one goes."""
    teller.act(f"The group gets an image with Kubernetes {NEW}, and an instance refresh replaces all three machines.")
    teller.ask("image", kubernetes=NEW)
    with teller.sampled(fewest=2, away=1):
        teller.ask("refresh_start", minimum=100)
        teller.until(lambda: teller.ask("refresh_list")[0]["status"] == "Successful", "the refresh did not come to its end")
        for node in (1, 2, 3):
            teller.until_gone(node)
    teller.follow(control_plane(teller))
    teller.act(f"Three machines of Kubernetes {NEW} are the control plane.")


def _addons(teller: Teller, before: dict[str, str]) -> None:
    """What is left for the leader."""
    after = {"coredns": "coredns/coredns:v1.14.2", "kube-proxy": f"kube-proxy:{NEW}"}
    teller.until(lambda: addons(teller) == after, f"the add-ons did not come from {before} to {after}")
    teller.act(f"The leader among the agents has brought the add-ons to {', '.join(after.values())}.")


def _workers(teller: Teller) -> None:
    teller.act("The group of the workers gets that image, too, and a refresh replaces them, drained one by one.")
    teller.ask("image", kubernetes=NEW, workers=True)
    old = {worker.name for worker in workers.look(teller.folder)}
    teller.ask("refresh_start", minimum=100, workers=True)
    ended = lambda: teller.ask("refresh_list", workers=True)[0]["status"] == "Successful"
    teller.until(ended, "the refresh of the workers did not come to its end")
    are_new = lambda: not old & {worker.name for worker in workers.look(teller.folder)}
    teller.until(lambda: are_new() and not workers.wrong(workers.look(teller.folder), WORKERS), "the new workers are not Ready")
    found = kubelets(teller)
    teller.expect(set(found.values()) == {NEW}, f"not every kubelet is {NEW}: {found}")
    teller.act(f"The kubelet of every machine is {NEW}.")


def control_plane(teller: Teller) -> list[int]:
    """Its machines that are on."""
    nodes = teller.ask("status")["nodes"]
    return [node["index"] for node in nodes if node["role"] == CONTROL_PLANE and node["power"] == "on"]


def addons(teller: Teller) -> dict[str, str]:
    """The images of the add-ons, without their registry, as one of the API servers has them."""
    found = {}
    with suppress(OSError):
        kube = _kube(teller)
        for kind, name in (("deployments", "coredns"), ("daemonsets", "kube-proxy")):
            pods = kube.call("GET", f"{APPS}/{kind}/{name}")["spec"]["template"]["spec"]
            found[name] = pods["containers"][0]["image"].partition("/")[2]
        kube.close()
    return found


def kubelets(teller: Teller) -> dict[str, str]:
    """The releases of kubelet on the machines that are on, by their names, as one of the API servers has them: the leader deletes
    Nodes of machines that are gone later."""
    node = teller.node(control_plane(teller)[-1])
    on = {each["name"] for each in teller.ask("status")["nodes"] if each["power"] == "on"}
    found = kubenodes.read(node["address"], Path(node["folder"]) / "disk")
    return {name: each["status"]["nodeInfo"]["kubeletVersion"] for name, each in found.items() if name in on}


def _kube(teller: Teller) -> Kube:
    node = teller.node(control_plane(teller)[-1])
    return Kube(node["address"], trust(Path(node["folder"]) / "disk"))
