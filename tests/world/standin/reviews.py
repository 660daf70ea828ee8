"""SubjectAccessReviews: whether somebody would be let through, and by which binding. None of them is kept."""

from . import users
from .storage import Refusal

GROUP, RESOURCE = "authorization.k8s.io", "subjectaccessreviews"
TARGET = f"/apis/{GROUP}/v1/{RESOURCE}"


def review(user, policy, body):
    """The answer to a review. Raises Refusal for whoever may not ask, and for a question that is none."""
    if users.MASTERS not in user.groups and not policy.allows(user, "create", GROUP, RESOURCE):
        text = f'{RESOURCE}.{GROUP} is forbidden: User "{user.name}" cannot create resource "{RESOURCE}" in API group "{GROUP}"'
        raise Refusal(403, "Forbidden", f"{text} at the cluster scope")
    spec = body.get("spec") or {}
    wanted = spec.get("resourceAttributes")
    if not wanted or not (spec.get("user") or spec.get("groups")):
        raise Refusal(422, "Invalid", f'SubjectAccessReview.{GROUP} "" is invalid: spec: Required value')
    who = users.User(spec.get("user", ""), ())
    # These groups alone: nobody is authenticated here.
    who.groups = set(spec.get("groups") or ())
    status = {"allowed": users.MASTERS in who.groups}
    if not status["allowed"]:
        resource = "/".join(each for each in (wanted["resource"], wanted.get("subresource")) if each)
        reason = policy.reason(who, wanted["verb"], wanted.get("group", ""), resource, wanted.get("namespace"), wanted.get("name"))
        status = {"allowed": bool(reason), **({"reason": reason} if reason else {})}
    return {**body, "kind": "SubjectAccessReview", "apiVersion": f"{GROUP}/v1", "status": status}
