"""The stories that `dev/demo` tells: what happens to a control plane, and how it heals."""

from . import upgrading
from .telling import Story, Teller

# Short times, so that nobody has to wait for what a real group would take minutes for.
BRISK = {"claim_ttl": "4s", "claim_stagger": "1s", "lease_ttl": "4s"}

# A group whose machines wait in a hook before they serve, and before they end; and machines that answer it.
HOOKED = {"terminate_hook": "leave", "agents": True}
ANSWERING = {**BRISK, "terminate_hook": "leave"}


def replace(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane.")
    teller.follow()
    teller.act("The power of node 2 goes without warning. The group ends the instance and launches node 4 in its place.")
    teller.ask("replace", node="2")
    teller.follow()
    teller.measure(4)
    teller.act("Node 4 has removed the dead member and its Node, and is a voter.")
    teller.is_whole(3)


def same_address(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane.")
    teller.follow()
    teller.act("Node 2 dies. Its replacement gets the same address, and with it the same name.")
    teller.ask("replace", node="2", same_address=True)
    teller.follow()
    teller.measure(4)
    teller.act("The dead member and the old Node of that name are gone; the new one has both anew.")
    teller.is_whole(3)


def two_of_five(teller: Teller) -> None:
    teller.act("Five machines boot and become one control plane.")
    teller.follow()
    teller.act("Nodes 4 and 5 die at once: three of five voters are left, just the quorum. Two replacements boot.")
    teller.ask("replace", node="4")
    teller.ask("replace", node="5")
    teller.follow()
    teller.act("The replacements have removed both dead members, one at a time, and joined one after the other.")
    teller.is_whole(5)


def leader_dies(teller: Teller) -> None:
    teller.act("Node 1 claims the cluster and runs kubeadm init, which stands still once etcd and API server are up.")
    teller.hold(1, "init", "upload-config")
    teller.act("Nodes 2 and 3 wait for it.")
    teller.ask("run", nodes=["2", "3"])
    teller.until_says(2, "to initialise")
    teller.act("The power of node 1 goes for good; the group launches node 4. Nobody has seen node 1's cluster.")
    teller.ask("replace", node="1", up=True)
    teller.follow()
    teller.act("Another node took the claim over and initialised; the others joined it.")
    teller.is_whole(3)


def joiner_dies(teller: Teller) -> None:
    teller.act("Nodes 1 and 2 become a control plane of two.")
    teller.ask("run", nodes=["1", "2"])
    teller.follow([1, 2])
    teller.act("Node 3 joins. etcd has made it a voter, and its kubeadm stands still before it is through.")
    teller.hold(3, "join", "etcd-join")
    teller.act("The power of node 3 goes for good; the group launches node 4.")
    teller.ask("replace", node="3", up=True)
    teller.follow()
    teller.act("Node 4 has removed what node 3 left in etcd, and joined.")
    teller.is_whole(3)


def quorum_lost(teller: Teller) -> None:
    teller.act("Nodes 1 and 2 become a control plane of two, which can lose nobody.")
    teller.ask("run", nodes=["1", "2"])
    teller.follow([1, 2])
    teller.act("Node 3 joins, and stands still before etcd knows it.")
    teller.hold(3, "join", "kubelet-start")
    before = teller.kubeadm_runs()
    teller.act("The power of node 2 goes: one of two voters answers. Node 3's kubeadm dies, too.")
    teller.ask("kill", node="2")
    teller.kill_kubeadm(3)
    teller.until_says(3, "quorum lost: 1 of 2 answers")
    teller.expect(teller.kubeadm_runs() == before, "kubeadm ran while the quorum was lost")
    teller.act("Nobody makes it worse: nothing is removed, wiped or initialised. Then node 2's power comes back.")
    teller.ask("boot", node="2", up=True)
    teller.follow()
    teller.act("Its data were there, so the quorum came back with it, and node 3 has joined.")
    teller.is_whole(3)


def power_cut(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane.")
    teller.follow()
    before = teller.kubeadm_runs()
    teller.act("The power of all three goes at once.")
    for node in ("1", "2", "3"):
        teller.ask("kill", node=node)
    teller.act("It comes back.")
    for node in ("1", "2", "3"):
        teller.ask("boot", node=node, up=True)
    teller.follow()
    teller.expect(teller.kubeadm_runs() == before, "kubeadm ran after the power cut")
    teller.act("Nothing was wiped and nothing had to be done.")
    teller.is_whole(3)


def wrong_region(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane.")
    teller.follow()
    teller.act("Node 2 dies, and EC2 shows nobody from now on, as it does to whoever asks the wrong Region.")
    teller.ask("fault_add", effect="nobody", service="ec2")
    before = teller.kubeadm_runs()
    teller.ask("replace", node="2", up=True)
    teller.until_says(4, "EC2 does not show this machine itself")
    teller.expect(teller.kubeadm_runs() == before, "node 4 joined although nobody could be believed gone")
    teller.act("Node 4 believes nobody gone, since it is not shown itself. Then EC2 answers for the right Region.")
    teller.ask("fault_clear")
    teller.follow()
    teller.act("Node 2's member could be removed, and node 4 has joined.")
    teller.is_whole(3)


def terminate_two(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane. Each runs the agent, and the group has a terminate hook.")
    teller.follow()
    teller.act("The group ends nodes 2 and 3 at once, and launches nodes 4 and 5. The hook holds both until they have left.")
    with teller.sampled(fewest=2, away=1):
        for node in ("2", "3"):
            teller.ask("terminate", node=node)
        teller.ask("desired", count=3)
        teller.until_gone(2)
        teller.until_gone(3)
        teller.follow([4, 5])
    said = lambda node, text: teller.agent_said_at(node, text)
    turns = sorted((said(node, "holds the membership lease"), said(node, "left the cluster")) for node in (2, 3))
    in_turn = "" < turns[0][0] < turns[0][1] <= turns[1][0] < turns[1][1]
    teller.expect(in_turn, f"they did not leave one after the other: {turns}")
    teller.act("They have left one after the other, and the newcomers are voters.")
    teller.is_whole(3)


def refresh(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane. A hook holds each before it serves, and before it ends.")
    teller.follow()
    teller.act("An instance refresh replaces all three: a new machine is a voter before an old one goes.")
    with teller.sampled(fewest=2, away=1):
        teller.ask("refresh_start", minimum=100)
        ended = lambda: teller.ask("refresh_list")[0]["status"] == "Successful"
        teller.until(ended, "the refresh did not come to its end")
        for node in (1, 2, 3):
            teller.until_gone(node)
            teller.measure_leaving(node)
    teller.follow([4, 5, 6])
    teller.act("Three new machines are the control plane, with the data of the old ones.")
    teller.is_whole(3)


def hibernate(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane. Each runs the agent, and the group has a terminate hook.")
    teller.follow()
    before = teller.record()
    teller.etcdctl(1, "put", "/demo/word", "kept overnight")
    teller.act("The group is set to zero. Two machines leave, and the last one saves the cluster before it goes.")
    teller.ask("desired", count=0)
    for node in (1, 2, 3):
        teller.until_gone(node)
    saved = teller.record()
    teller.expect(saved["phase"] == "saved", f"the record says '{saved['phase']}', not 'saved'")
    teller.act(f"No machine is left. The cluster lives in {saved.get('snapshot', {}).get('key')}. Then three machines are wanted again.")
    teller.ask("desired", count=3)
    _is_back(teller, before, "kept overnight")
    teller.act("The leader among the agents deletes the Node of the machine that saved it, which came with the data.")
    teller.until_whole(3)


def total_loss(teller: Teller) -> None:
    teller.act("Three machines boot and become one control plane, and a snapshot of it is saved.")
    teller.follow()
    before = teller.record()
    teller.etcdctl(1, "put", "/demo/word", "saved in time")
    teller.run(1, "kubeboot", "snapshot", "save")
    teller.act("The power of all three goes for good, with their disks. The group launches three machines in their place.")
    teller.ask("blackout")
    for node in ("1", "2", "3"):
        teller.ask("replace", node=node, up=False)
    teller.act("An operator looks what would be restored and lost, and gives the word.")
    print(teller.run(4, "kubeboot", "restore", "--latest", "--dry-run"))
    teller.run(4, "kubeboot", "restore", "--latest", "--yes")
    teller.expect(teller.record()["phase"] == "saved", "the record does not say 'saved'")
    teller.act("The machines do the rest: one restores, the others join it.")
    teller.ask("run", nodes=["4", "5", "6"])
    _is_back(teller, before, "saved in time")
    # Nodes of the lost machines came with the data. No agent runs here that would delete them.
    teller.expect(len(teller.etcdctl(4, "member", "list").splitlines()) == 3, "etcd does not have three members")


def _is_back(teller: Teller, before: dict, word: str) -> None:
    """Three new machines come up as the cluster whose record was `before`, and has this word."""
    teller.follow([4, 5, 6])
    after = teller.record()
    for what in ("kube_system_uid", "ca_hashes"):
        old, new = before["cluster"][what], after.get("cluster", {}).get(what)
        teller.expect(old == new, f"{what} was {old} and is {new}")
    found = teller.etcdctl(4, "get", "--print-value-only", "/demo/word")
    teller.expect(found == word, f"what was written is lost: {found!r}")
    teller.act("One of them has restored it and the others have joined: the same kube-system, the same CA, the same data.")


STORIES = {
    story.name: story
    for story in (
        Story("replace", "A node dies without warning and the group replaces it.", replace),
        Story("same-address", "The replacement has the address and the name of the dead node.", same_address),
        Story("two-of-five", "Two of five die at once.", two_of_five, nodes=5),
        Story("leader-dies", "The node that initialises dies in the middle.", leader_dies, up=False, settings=BRISK),
        Story("joiner-dies", "A node dies when etcd has just made it a voter.", joiner_dies, up=False, settings=BRISK),
        Story("quorum-lost", "One of two voters dies while a third joins.", quorum_lost, up=False, settings=BRISK),
        Story("power-cut", "All lose power at once.", power_cut),
        Story(
            "terminate-two", "Two of three are terminated at once.", terminate_two, settings=ANSWERING, options=HOOKED
        ),
        Story(
            "refresh", "An instance refresh replaces all machines, one after the other.", refresh,
            settings={**ANSWERING, "launch_hook": "join"}, options={**HOOKED, "launch_hook": "join"},
        ),
        Story(
            "upgrade", "Machines of a newer image bring the cluster to the next release of Kubernetes.", upgrading.upgrade,
            settings={**ANSWERING, **upgrading.SETTINGS, "launch_hook": "join"},
            options={**HOOKED, **upgrading.OPTIONS, "launch_hook": "join"},
        ),
        Story(
            "hibernate", "The group is set to zero, and later to three again.", hibernate,
            settings={**ANSWERING, "cloud_provider": "external"}, options={**HOOKED, "etcd": "3.5.30"},
        ),
        Story(
            "total-loss", "All machines and disks are lost, and a snapshot is there.", total_loss,
            settings={**BRISK, "gone_grace": "2s"}, options={"agents": True, "etcd": "3.5.30"},
        ),
        Story("wrong-region", "EC2 shows nobody, and nobody is believed gone.", wrong_region, settings=BRISK),
    )
}
