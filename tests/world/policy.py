"""IAM policies, judged as AWS documents it. Nothing is taken for granted: what is not understood is refused at once.

moto's own authorisation looks at actions: neither at resources nor conditions, nor at policies of buckets and keys.
"""

import json
import re
from dataclasses import dataclass, field

FIELDS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}

# The condition keys for which the emulated AWS gives a value, where AWS would.
KEYS = {
    "aws:PrincipalArn",
    "aws:SecureTransport",
    "aws:userid",
    "ec2:InstanceID",
    "kms:GrantIsForAWSResource",
    "kms:ViaService",
    "s3:ObjectCreationOperation",
    "s3:if-match",
    "s3:if-none-match",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
}
POSITIVE = {"StringEquals": False, "StringLike": True, "ArnEquals": True, "ArnLike": True, "Bool": False}
NEGATIVE = {"StringNotEquals": False, "StringNotLike": True, "ArnNotEquals": True, "ArnNotLike": True}


@dataclass(frozen=True)
class Ask:
    """One permission that a call needs: the action, on what, and what conditions may look at."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Statement:
    """One statement of a policy; `principals` is empty in a policy of a role."""

    effect: str
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def applies(self, ask: Ask) -> bool:
        """Whether it says something about this, whoever asks."""
        action = any(_like(pattern.lower(), ask.action.lower()) for pattern in self.actions)
        resource = any(_like(pattern, ask.resource) for pattern in self.resources)
        return action and resource and all(_holds(condition, ask.context) for condition in self.conditions)

    def names(self, *principals: str) -> bool:
        return bool({"*", *principals} & set(self.principals))


def parse(document: dict) -> list[Statement]:
    """The statements of a policy. Raises ValueError for what cannot be judged here."""
    return [_statement(statement) for statement in _list(document["Statement"])]


def _statement(statement: dict) -> Statement:
    unknown = set(statement) - FIELDS
    if unknown or statement.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f"cannot judge the statement {statement}: {', '.join(sorted(unknown)) or 'its Effect'}")
    conditions = []
    variables = set(re.findall(r"\$\{([^}]+)\}", json.dumps(statement)))
    if variables - KEYS:
        raise ValueError(f"cannot judge the policy variables {', '.join(sorted(variables))}")
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            if operator not in {*POSITIVE, *NEGATIVE, "Null"} or key not in KEYS:
                raise ValueError(f"cannot judge the condition {operator} of {key}")
            conditions.append((operator, key, tuple(_list(wanted))))
    principals = statement.get("Principal", [])
    if isinstance(principals, dict):
        principals = principals["AWS"]
    lists = (principals, statement["Action"], statement["Resource"])
    return Statement(statement["Effect"], *(tuple(_list(one)) for one in lists), tuple(conditions))


def _holds(condition: tuple[str, str, tuple[str, ...]], context: dict[str, str]) -> bool:
    operator, key, wanted = condition
    have = context.get(key)
    if operator == "Null":
        return (have is None) == (wanted == ("true",))
    patterns = POSITIVE.get(operator, NEGATIVE.get(operator))
    wanted = tuple(filter(None, (_filled(one, context) for one in wanted)))
    equal = have is not None and any(_like(one, have) if patterns else one == have for one in wanted)
    return equal if operator in POSITIVE else not equal


def _filled(text: str, context: dict[str, str]) -> str:
    """A value with its policy variables; empty, which nothing is like, if the request has no value for one of them."""
    for variable in re.findall(r"\$\{([^}]+)\}", text):
        if variable not in context:
            return ""
        text = text.replace(f"${{{variable}}}", context[variable])
    return text


def _like(pattern: str, text: str) -> bool:
    """`*` and `?`, as IAM reads them."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _list(value) -> list:
    return value if isinstance(value, list) else [value]
