"""Evictions: a pod is deleted where its disruption budgets let it go, and refused with 429 where they do not.

What the disruption controller writes into a budget's status, here every eviction works out anew. Pods have no controllers here whose
replicas could be counted, and of such pods the real one wants a budget with a number as minAvailable: others let nothing go.
"""

from .storage import Refusal

# Pods in these phases count for no budget and are always let go.
OVER = ("Succeeded", "Failed", "Pending")


def evict(store, namespace, name, body):
    """Deletes a pod as its eviction says. Raises Refusal 404, 422, 429 or 500 in the words of the API server."""
    meant = (body.get("metadata") or {}).get("name")
    if meant != name:
        raise Refusal(400, "BadRequest", "name in URL does not match name in Eviction object")
    pod = store.get("pods", namespace, name)
    if pod.get("status", {}).get("phase") not in OVER:
        _ask_budgets(store, namespace, pod)
    wanted = (body.get("deleteOptions") or {}).get("preconditions") or {}
    store.delete("pods", namespace, name, wanted.get("uid"), wanted.get("resourceVersion"))
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _ask_budgets(store, namespace, pod):
    budgets = [each for each in store.list("poddisruptionbudgets", namespace) if _selects(each, pod)]
    if len(budgets) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise Refusal(500, "", text)
    for budget in budgets:
        pods = store.list("pods", namespace)
        healthy = sum(_is_ready(each) for each in pods if _selects(budget, each))
        needs = budget["spec"].get("minAvailable")
        needs = needs if isinstance(needs, int) else healthy
        # A pod that is not ready anyway may go while the others are enough.
        if not _is_ready(pod) and healthy >= needs > 0:
            continue
        if healthy <= needs:
            refusal = Refusal(
                429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget."
            )
            held = f"The disruption budget {budget['metadata']['name']} needs {needs} healthy pods and has {healthy} currently"
            refusal.details = {"causes": [{"reason": "DisruptionBudget", "message": held}]}
            raise refusal


def _selects(budget, pod):
    """Whether a budget is about this pod. One with an empty selector, or none, is about no pod for whoever evicts."""
    wanted = (budget["spec"].get("selector") or {}).get("matchLabels")
    labels = pod["metadata"].get("labels") or {}
    return bool(wanted) and wanted.items() <= labels.items()


def _is_ready(pod):
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
