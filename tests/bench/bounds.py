"""The bounds of all figures: the one table. What is not named here is measured, and judged by nobody."""

from world.figures import CLAIM_BOUND, LEAVE_BOUND, OWN_BOUND

from .figure import Bound

# Of the release binary, on two quiet cores: what is promised.
PROMISED: dict[str, Bound] = {
    "size": Bound("MiB, stripped", most=15),
    "waiting.cpu": Bound("per cent of a core", most=1),
    "waiting.memory": Bound("MiB at the peak", most=25),
    "agent.cpu": Bound("per cent of a core, while nothing happens", most=0.5),
    "agent.memory": Bound("MiB at the peak", most=20),
    "agent.calls": Bound("to AWS in a minute", most=1.5),
    "group.over_one_join": Bound("seconds beyond one init and one join, for a group of three", most=6),
    "group.each_further": Bound("seconds; etcd admits a member every five", most=7),
    "demo.settled_to_claim": Bound("seconds; the demo says so, too", most=CLAIM_BOUND),
    "demo.own": Bound("seconds; the demo says so, too", most=OWN_BOUND),
    "replacement.own": Bound("seconds over kubeadm's own time", most=2),
    "leave.own": Bound("seconds; the demo says so, too", most=LEAVE_BOUND),
    "snapshot.memory": Bound("whatever the size of the database; not taken from measurements", most=100),
    "snapshot.share": Bound("of what it may take, which is not taken from measurements", most=1),
    "busy.wrong": Bound("one init, however busy the computer is", most=0),
    "workers.peak": Bound("the busiest second, in means, where there are ten or more requests in a second", most=3),
    "workers.api_server": Bound("a waiting worker asks S3 alone", most=0),
    "throttled.in": Bound("everybody still comes in", least=3),
    "age.calls_ratio": Bound("flat: former machines cost no call", most=1.1),
    "workers.deciding": Bound("seconds for a thousand requests for certificates", most=10),
}

# Of any binary, also one for debugging, on a computer that does other things, too: ratios and counts alone. What was measured stands
# beside each bound, which leaves some room, for such a computer and for a call or two. `dev/bench --check`.
CHECKED: dict[str, Bound] = {
    "decision.wall_ratio": Bound("20 to 30 by a binary for debugging", least=8),
    "decision.cpu_ratio": Bound("39 by a binary for debugging", least=13),
    "decision.calls.kubeboot": Bound("10: each source once, and the record, the registrations and the hash again before the claim", most=12),
    "decision.programs.kubeboot": Bound("4, of which 3 are questions to kubeadm, systemd and the runtime", most=5),
    "waiting.calls": Bound("a look asks for eight things, and one in some seconds is enough", most=2.5),
    "waiting.busiest": Bound("three machines that look in the same second, with nine calls each", most=27),
    "group.inits": Bound("exactly one", most=1, least=1),
    "group.calls": Bound("41 to 58, more where kubeadm is slow: it is waited for by looking", most=100),
    "age.calls": Bound("10 for status, 12 for an up that has nothing to do", most=16),
    "age.calls_ratio": Bound("flat: former machines cost no call", most=1.25),
}
