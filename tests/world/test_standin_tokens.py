"""Bootstrap tokens at the stand-in's API server: who is known by one, for how long, and as whom."""

import pytest

from world.standin_lab import Lab, moment, wait

SYSTEM = "/api/v1/namespaces/kube-system"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
OWN = "system:bootstrappers:kubeboot"


@pytest.fixture(scope="module")
def node():
    lab = Lab()
    made = lab.node()
    made.init()
    yield made
    lab.close()


def known_as(node, token):
    """What the API server says to who shows a token and asks for something that no token may have."""
    return node.answer("GET", f"{SYSTEM}/secrets", config=node.by_token(token))


def test_a_token_is_a_user_of_its_own_and_its_groups(node):
    node.make_token("aaaaaa.0123456789abcdef", OWN)
    status, text = known_as(node, "aaaaaa.0123456789abcdef")
    assert (status, text) == (
        403,
        'secrets is forbidden: User "system:bootstrap:aaaaaa" cannot list resource "secrets" in API group "" '
        'in the namespace "kube-system"',
    )


@pytest.mark.parametrize(
    ("ident", "shown", "wrong"),
    [
        ("bbbbb1", "bbbbb1.0123456789abcdeX", {}),
        ("bbbbb2", "bbbbb2.0123456789abcdee", {}),
        ("bbbbb3", "bbbbb3", {}),
        ("bbbbb4", None, {"expiration": moment(-1)}),
        ("bbbbb5", None, {"expiration": "tomorrow"}),
        ("bbbbb6", None, {"expiration": "2100-01-01T00:00:00"}),
        ("bbbbb7", None, {"usage_bootstrap_authentication": None}),
        ("bbbbb8", None, {"usage_bootstrap_authentication": "yes"}),
        ("bbbbb9", None, {"auth_extra_groups": "system:masters"}),
        ("bbbbba", None, {"token_id": "cccccc"}),
        ("bbbbbb", None, {"type": "Opaque"}),
    ],
)
def test_what_is_no_token_is_nobody(node, ident, shown, wrong):
    token = f"{ident}.0123456789abcdef"
    node.make_token(token, **{"auth_extra_groups": OWN, **wrong})
    assert known_as(node, shown or token) == (401, "Unauthorized")


def test_a_token_without_end_or_groups_of_its_own_is_one(node):
    node.make_token("dddddd.0123456789abcdef", expiration=None, auth_extra_groups=None)
    assert known_as(node, "dddddd.0123456789abcdef")[0] == 403


def test_the_token_cleaner_takes_away_what_has_ended_and_nothing_else(node):
    node.make_token("eeeee1.0123456789abcdef", expiration=moment(1))
    node.make_token("eeeee2.0123456789abcdef")
    node.make_token("eeeee3.0123456789abcdef", type="Opaque", expiration=moment(-9))

    def left():
        names = [each["metadata"]["name"] for each in node.get(f"{SYSTEM}/secrets")["items"]]
        return [name for name in names if name.startswith("bootstrap-token-eeeee")]

    assert "bootstrap-token-eeeee2" in left()
    wait(lambda: left() == ["bootstrap-token-eeeee2", "bootstrap-token-eeeee3"], "the token cleaner")
    assert known_as(node, "eeeee1.0123456789abcdef") == (401, "Unauthorized")


def test_deleting_the_secret_ends_the_token_at_once(node):
    node.make_token("ffffff.0123456789abcdef")
    assert known_as(node, "ffffff.0123456789abcdef")[0] == 403
    node.api("DELETE", f"{SYSTEM}/secrets/bootstrap-token-ffffff")
    assert known_as(node, "ffffff.0123456789abcdef") == (401, "Unauthorized")


def test_nobody_in_particular_reads_cluster_info_alone_and_a_token_not_even_that(node):
    info, nobody = "/api/v1/namespaces/kube-public/configmaps/cluster-info", node.by_token("", "nobody")
    node.make_token("gggggg.0123456789abcdef", OWN)
    assert node.answer("GET", info, config=nobody)[0] == 200
    status, text = node.answer("GET", f"{SYSTEM}/configmaps/kubeadm-config", config=nobody)
    assert status == 403 and 'User "system:anonymous"' in text
    assert node.answer("GET", info, config=node.by_token("gggggg.0123456789abcdef"))[0] == 403


def test_secrets_are_kept_as_base64_and_nothing_else(node):
    node.api("POST", f"{SYSTEM}/secrets", {"metadata": {"name": "plain"}, "stringData": {"a": "b"}})
    kept = node.get(f"{SYSTEM}/secrets/plain")
    assert kept["data"] == {"a": "Yg=="} and kept["type"] == "Opaque" and "stringData" not in kept
    wrong = {"metadata": {"name": "wrong"}, "data": {"a": "not base64"}}
    status, text = node.answer("POST", f"{SYSTEM}/secrets", wrong)
    assert status == 400 and "illegal base64 data at data.a" in text


def test_more_than_three_mebibytes_are_not_read(node):
    body = {"metadata": {"name": "big"}, "data": {"a": "x" * (3 << 20)}}
    status, text = node.answer("POST", f"{SYSTEM}/configmaps", body)
    assert status == 413 and "limit is 3145728" in text
