"""Evictions by the stand-in's API server: whom the budgets let go, and what is said to whoever they hold."""

import pytest

from world.standin import kubeapi
from world.standin_lab import Lab

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
KUBELET = "/etc/kubernetes/kubelet.conf"


@pytest.fixture(scope="module")
def node():
    lab = Lab()
    made = lab.node()
    made.init()
    yield made
    lab.close()


def pod(node, name, app, ready=True, phase="Running", where="n1"):
    """A pod of an application, on a node."""
    state = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    meta = {"name": name, "labels": {"app": app}}
    node.api("POST", PODS, {"metadata": meta, "spec": {"nodeName": where}, "status": state})


def budget(node, name, app, **wanted):
    """A budget for an application."""
    spec = {"selector": {"matchLabels": {"app": app}} if app else {}, **wanted}
    node.api("POST", BUDGETS, {"metadata": {"name": name}, "spec": spec})


def evict(node, name, meant=None, **more):
    """The status and the whole answer of an eviction."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": meant or name, "namespace": "default"}}
    try:
        return 201, node.api("POST", f"{PODS}/{name}/eviction", body | more.pop("body", {}), **more)
    except kubeapi.ApiError as error:
        return error.status, str(error)


def left(node, app):
    """The names of the pods of an application."""
    return {each["metadata"]["name"] for each in node.get(f"{PODS}?labelSelector=app={app}")["items"]}


@pytest.mark.parametrize(
    ("app", "wanted", "ready", "goes"),
    [
        ("free", None, 1, 1),
        ("all", {"minAvailable": 3}, 3, 0),
        ("two", {"minAvailable": 2}, 3, 1),
        ("any", {"minAvailable": 0}, 3, 3),
        ("short", {"minAvailable": 2}, 1, 0),
        ("share", {"minAvailable": "10%"}, 3, 0),
        ("away", {"maxUnavailable": 2}, 3, 0),
    ],
)
def test_a_budget_lets_go_as_many_as_it_can_spare(node, app, wanted, ready, goes):
    for number in range(3):
        pod(node, f"{app}-{number}", app, ready=number < ready)
    if wanted:
        budget(node, app, app, **wanted)
    answers = [evict(node, f"{app}-{number}") for number in range(ready if wanted else 1)]
    assert [status for status, _ in answers] == [201] * goes + [429] * (len(answers) - goes)
    assert len(left(node, app)) == 3 - goes
    for status, text in answers:
        assert status == 201 or "Cannot evict pod as it would violate the pod's disruption budget." in text


def test_what_is_not_ready_or_over_goes_while_the_others_are_enough(node):
    budget(node, "mixed", "mixed", minAvailable=1)
    pod(node, "mixed-up", "mixed")
    pod(node, "mixed-down", "mixed", ready=False)
    pod(node, "mixed-done", "mixed", ready=False, phase="Succeeded")
    assert [evict(node, f"mixed-{name}")[0] for name in ("down", "done", "up")] == [201, 201, 429]
    assert left(node, "mixed") == {"mixed-up"}


def test_budgets_that_select_nothing_or_twice(node):
    budget(node, "empty", "", minAvailable=9)
    pod(node, "twice-0", "twice")
    for name in ("first", "second"):
        budget(node, name, "twice", minAvailable=0)
    status, text = evict(node, "twice-0")
    assert status == 500 and "more than one PodDisruptionBudget" in text
    assert evict(node, "absent")[0] == 404 and evict(node, "twice-0", meant="other")[0] == 400


def test_a_kubelet_evicts_what_runs_on_it_and_nothing_else(node):
    pod(node, "mine", "whose")
    pod(node, "others", "whose", where="n2")
    wrong = {"deleteOptions": {"preconditions": {"uid": "another"}}}
    assert evict(node, "mine", config=KUBELET, body=wrong)[0] == 409
    assert evict(node, "others", config=KUBELET)[0] == 403
    assert evict(node, "mine", config=KUBELET)[0] == 201
    assert left(node, "whose") == {"others"}
