"""The bucket and its keys: who may do what, judged as AWS would, and what the lifecycle rules reach."""

import re

import pytest

from example import PROJECT, ROLE, world_policies
from example import plan as evaluate
from world.iam import Iam
from world.policy import Ask

BUCKET = "arn:aws:s3:::kubeboot-demo"
RECORD, BUNDLE = "demo/control-plane/cluster.json", "demo/control-plane/pki/0f8fad5b-d9cb-469f-a165-70867728950e.json"
SCRATCH, NODE = "demo/control-plane/nodes/check-i-1-x", "demo/control-plane/nodes/i-1.json"
FORMER = "demo/control-plane/former/i-1.json"
HASH = "demo/join/discovery-token-ca-cert-hash"

ADMIN = "arn:aws:iam::123456789012:role/admin"
OPERATOR = "arn:aws:iam::123456789012:role/operator"
EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

ABSENT, CHANGED = {"s3:if-none-match": "*"}, {"s3:if-match": '"etag"'}

# Who, action, key, what the call carries, and whether it is allowed.
TABLE = [
    (ROLE, "s3:PutObject", RECORD, ABSENT, True),
    (ROLE, "s3:PutObject", RECORD, CHANGED, True),
    (ROLE, "s3:PutObject", RECORD, {}, False),
    (ROLE, "s3:GetObject", RECORD, {}, True),
    (ROLE, "s3:DeleteObject", RECORD, {}, False),
    (ADMIN, "s3:GetObject", RECORD, {}, True),
    (ADMIN, "s3:PutObject", RECORD, CHANGED, False),
    (ADMIN, "s3:DeleteObject", RECORD, {}, False),
    (ADMIN, "s3:DeleteObjectVersion", RECORD, {}, False),
    (ROLE, "s3:PutObject", NODE, CHANGED, True),
    (ROLE, "s3:PutObject", NODE, {}, False),
    (ROLE, "s3:DeleteObject", NODE, {}, False),
    (ROLE, "s3:DeleteObject", NODE, CHANGED, True),
    (ADMIN, "s3:DeleteObject", NODE, {}, True),
    (ROLE, "s3:PutObject", FORMER, ABSENT, True),
    (ROLE, "s3:PutObject", FORMER, CHANGED, True),
    (ROLE, "s3:PutObject", FORMER, {}, False),
    (ROLE, "s3:GetObject", FORMER, {}, True),
    (ROLE, "s3:DeleteObject", FORMER, CHANGED, False),
    (ROLE, "s3:DeleteObject", RECORD, CHANGED, False),
    (ROLE, "s3:DeleteObject", BUNDLE, CHANGED, False),
    (ROLE, "s3:DeleteObject", HASH, CHANGED, False),
    (ROLE, "s3:DeleteObject", SCRATCH, {}, True),
    (ROLE, "s3:PutObject", BUNDLE, {**ABSENT, "key": "pki"}, True),
    (ROLE, "s3:PutObject", BUNDLE, {**CHANGED, "key": "pki"}, False),
    (ROLE, "s3:PutObject", BUNDLE, {**ABSENT, "key": "bucket"}, False),
    (ROLE, "s3:PutObject", BUNDLE, ABSENT, False),
    (ROLE, "s3:GetObject", BUNDLE, {}, True),
    (ADMIN, "s3:GetObject", BUNDLE, {}, False),
    (ADMIN, "s3:GetObjectVersion", BUNDLE, {}, False),
    (ADMIN, "s3:DeleteObject", BUNDLE, {}, False),
    (ADMIN, "s3:DeleteObjectVersion", BUNDLE, {}, False),
    (ROLE, "s3:PutObject", HASH, ABSENT, True),
    (ADMIN, "s3:PutObject", HASH, ABSENT, False),
    (ADMIN, "s3:GetObject", HASH, {}, True),
    (ROLE, "s3:GetObject", "other/control-plane/cluster.json", {}, False),
    (ROLE, "s3:PutObject", "demo/anything", ABSENT, False),
    (ADMIN, "s3:GetObject", RECORD, {"aws:SecureTransport": "false"}, False),
]


def judge(plan, who: str) -> Iam:
    policies = world_policies(plan)
    if who != ROLE:
        policies |= {"role": who, "policies": [EVERYTHING]}
    return Iam(lambda call: "arn:of-the-group", policies)


@pytest.mark.parametrize(("who", "action", "key", "carries", "allowed"), TABLE)
def test_who_may_do_what(plan, who, action, key, carries, allowed):
    context = {"aws:SecureTransport": "true", "aws:PrincipalArn": who, **carries}
    if name := context.pop("key", None):
        context["s3:x-amz-server-side-encryption-aws-kms-key-id"] = plan.key(name)
    why = judge(plan, who).why_not(Ask(action, f"{BUCKET}/{key}", context))
    assert (why is None) == allowed, why


@pytest.mark.parametrize(
    ("key", "carries", "allowed"),
    [
        (RECORD, CHANGED, True),
        # Over a record that is lost, and to restore its last version.
        (RECORD, ABSENT, True),
        (RECORD, {}, False),
        (BUNDLE, {**ABSENT, "key": "bucket"}, False),
    ],
)
def test_an_operator_may_retire_the_cluster_and_no_more(key, carries, allowed):
    plan = evaluate(f'operator_role_arns = ["{OPERATOR}"]')
    test_who_may_do_what(plan, OPERATOR, "s3:PutObject", key, carries, allowed)
    assert judge(plan, OPERATOR).why_not(Ask("s3:DeleteObject", f"{BUCKET}/{key}")) is not None


def operator_policies(plan) -> dict:
    """The example's policies, and a role with the page's permissions and no more."""
    page = (PROJECT / "docs/terraform.md").read_text().partition("## What an operator needs\n")[2].partition("\n## ")[0]
    own = {"Statement": [{"Effect": "Allow", "Action": re.findall(r"`((?:s3|kms):\w+)`", page), "Resource": "*"}]}
    return world_policies(plan) | {"role": OPERATOR, "policies": [own]}


def test_an_operator_restores_the_record_with_what_the_page_says():
    """Each call of the page's commands; test_restore.py sends them."""
    plan = evaluate(f'operator_role_arns = ["{OPERATOR}"]')
    operator = Iam(lambda call: "arn:of-the-group", operator_policies(plan))
    context = {"aws:SecureTransport": "true", "aws:PrincipalArn": OPERATOR}
    through = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
    record = f"{BUCKET}/{RECORD}"
    restored = [
        Ask("s3:ListBucketVersions", BUCKET, context),
        Ask("s3:GetObjectVersion", record, context),
        Ask("kms:Decrypt", plan.key("bucket"), context | through),
        Ask("s3:PutObject", record, context | ABSENT),
        Ask("s3:GetObject", record, context),
        Ask("s3:PutObject", record, context | CHANGED),
        Ask("kms:GenerateDataKey", plan.key("bucket"), context | through),
    ]
    assert [operator.why_not(ask) for ask in restored] == [None] * len(restored)
    # What comes to mind first.
    for ask in (
        Ask("s3:PutObject", record, context),
        Ask("s3:DeleteObjectVersion", record, context),
        Ask("s3:GetObjectVersion", f"{BUCKET}/{BUNDLE}", context),
    ):
        assert operator.why_not(ask) is not None, ask
    # Whoever is not named writes nothing, whatever his policy is.
    other = Iam(lambda call: "arn:of-the-group", world_policies(evaluate()) | {"role": OPERATOR, "policies": [EVERYTHING]})
    assert other.why_not(Ask("s3:PutObject", record, context | ABSENT)) is not None


@pytest.mark.parametrize(("key", "carries", "allowed"), [(NODE, CHANGED, True), (NODE, {}, False), (HASH, CHANGED, True)])
def test_an_operator_may_finish_what_is_left_of_it(key, carries, allowed):
    plan = evaluate(f'operator_role_arns = ["{OPERATOR}"]')
    test_who_may_do_what(plan, OPERATOR, "s3:PutObject", key, carries, allowed)


@pytest.mark.parametrize(
    ("who", "key", "through", "allowed"),
    [
        (ROLE, "pki", "s3.eu-central-1.amazonaws.com", True),
        (ROLE, "bucket", "s3.eu-central-1.amazonaws.com", True),
        (ROLE, "pki", "ec2.eu-central-1.amazonaws.com", False),
        (ROLE, "bucket", "ec2.eu-central-1.amazonaws.com", False),
        # Whoever may everything by IAM reads the cluster's state, and no CA key.
        (ADMIN, "bucket", "s3.eu-central-1.amazonaws.com", True),
        (ADMIN, "pki", "s3.eu-central-1.amazonaws.com", False),
    ],
)
def test_who_may_use_which_key(plan, who, key, through, allowed):
    why = judge(plan, who).why_not(Ask("kms:Decrypt", plan.key(key), {"kms:ViaService": through}))
    assert (why is None) == allowed, why


@pytest.mark.parametrize("action", ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:EnableKeyRotation"])
def test_the_account_still_manages_the_key_of_the_ca_keys(plan, action):
    assert judge(plan, ADMIN).why_not(Ask(action, plan.key("pki"))) is None
    assert judge(plan, ADMIN).why_not(Ask("kms:CreateGrant", plan.key("pki"))) is not None


def test_no_lifecycle_rule_can_touch_the_record_a_bundle_or_a_registration_that_still_tells(plan):
    rules = plan.one("aws_s3_bucket_lifecycle_configuration")["rule"]
    assert rules
    for rule in rules:
        prefix = rule["filter"]["prefix"]
        assert prefix and not any(key.startswith(prefix) for key in (RECORD, BUNDLE)), prefix
        # And no rule ends a current version of anything but of registrations that are over, and of snapshots but the final ones.
        ends = {"days", "date"} & set(rule["expiration"])
        assert not ends or prefix in (FORMER.removesuffix("i-1.json"), "demo/snapshots/0"), prefix
        assert "transition" not in rule
    former = [rule["expiration"].get("days") for rule in rules if FORMER.startswith(rule["filter"]["prefix"])]
    assert [days for days in former if days] == [90]


def test_the_bucket_is_private_versioned_and_encrypted(plan):
    block = plan.one("aws_s3_bucket_public_access_block")
    names = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert all(block[name] is True for name in names)
    assert plan.one("aws_s3_bucket_versioning")["versioning_configuration"]["status"] == "Enabled"
    default = plan.one("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    default = default["apply_server_side_encryption_by_default"]
    assert (default["sse_algorithm"], default["kms_master_key_id"]) == (
        "aws:kms",
        plan.one("aws_kms_key", "bucket")["id"],
    )
    assert plan.one("aws_s3_bucket")["force_destroy"] is False
