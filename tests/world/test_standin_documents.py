"""Documents: what kubeadm takes, what it refuses, and in which words."""

import pytest
import yaml

from world.standin import documents, options, say, schema, validation

V = "kubeadm.k8s.io/v1beta4"


def refusal(work, *arguments):
    with pytest.raises(say.Failure) as failed:
        work(*arguments)
    return str(failed.value)


def parse(*found):
    return documents.parse(yaml.safe_dump_all(found))


@pytest.mark.parametrize("kind", sorted(schema.KINDS))
def test_an_unknown_field_is_an_error(kind):
    text = refusal(parse, {"apiVersion": V, "kind": kind, "foo": 1})
    assert f'Version:"v1beta4", Kind:"{kind}"}}: strict decoding error: unknown field "foo"' in text


@pytest.mark.parametrize(
    "document, wrong",
    [
        ({"kind": "InitConfiguration", "nodeRegistration": {"foo": "x"}}, 'unknown field "nodeRegistration.foo"'),
        (
            {"kind": "InitConfiguration", "nodeRegistration": {"taints": [{"colour": "x"}]}},
            '"nodeRegistration.taints[0].colour"',
        ),
        ({"kind": "InitConfiguration", "localAPIEndpoint": {"bindPort": "6443"}}, "cannot unmarshal string into field"),
        ({"kind": "InitConfiguration", "localAPIEndpoint": {"bindPort": True}}, "cannot unmarshal bool into field"),
        ({"kind": "InitConfiguration", "skipPhases": "addon"}, "cannot unmarshal string into field skipPhases"),
        (
            {"kind": "ClusterConfiguration", "apiServer": {"extraArgs": {"v": "2"}}},
            "cannot unmarshal object into field",
        ),
        ({"kind": "ClusterConfiguration", "apiServer": {"timeoutForControlPlane": "4m0s"}}, "timeoutForControlPlane"),
        ({"kind": "ClusterConfiguration", "etcd": {"local": {"datadir": "/x"}}}, 'unknown field "etcd.local.datadir"'),
        ({"kind": "ClusterConfiguration", "networking": []}, "cannot unmarshal array into field networking"),
        ({"kind": "JoinConfiguration", "discovery": {"timeout": "5m0s"}}, 'unknown field "discovery.timeout"'),
        ({"kind": "ResetConfiguration", "force": "yes"}, "cannot unmarshal string into field force"),
    ],
)
def test_what_does_not_fit_is_named(document, wrong):
    assert wrong in refusal(parse, {"apiVersion": V, **document})


@pytest.mark.parametrize(
    "document, wrong",
    [
        (
            {"apiVersion": "kubeadm.k8s.io/v1beta3", "kind": "InitConfiguration"},
            'uses an old API spec: "kubeadm.k8s.io/v1beta3"',
        ),
        ({"apiVersion": "kubeadm.k8s.io/v1beta9", "kind": "InitConfiguration"}, "unknown configuration APIs"),
        ({"apiVersion": V, "kind": "InitConfig"}, "unknown configuration APIs"),
        ({"apiVersion": V}, "kind and apiVersion is mandatory"),
        (["apiVersion"], "kind and apiVersion is mandatory"),
    ],
)
def test_documents_of_another_kind_are_refused(document, wrong):
    assert wrong in refusal(parse, document)


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("kind: [", "error converting YAML to JSON"),
        ("a: 1\na: 2\n", 'key "a" already set in map'),
        ("\x00", "error converting"),
    ],
)
def test_what_is_no_yaml_is_refused(text, wrong):
    assert wrong in refusal(documents.parse, text)


def test_a_kind_may_stand_once():
    twice = {"apiVersion": V, "kind": "InitConfiguration"}
    assert 'kind "InitConfiguration" is specified twice' in refusal(parse, twice, twice)


def test_json_is_yaml_and_component_documents_are_taken():
    text = (
        f'{{"apiVersion": "{V}", "kind": "InitConfiguration"}}\n---\n'
        '{"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "maxPods": 50}\n---\n'
    )
    assert set(documents.parse(text)) == {"InitConfiguration", "KubeletConfiguration"}


def test_a_cluster_gets_kubeadms_defaults():
    full = documents.cluster(
        {"ClusterConfiguration": {"networking": {"podSubnet": "10.0.0.0/8"}, "kubernetesVersion": "1.36.0"}}
    )
    assert full["networking"] == {
        "dnsDomain": "cluster.local",
        "serviceSubnet": "10.96.0.0/12",
        "podSubnet": "10.0.0.0/8",
    }
    assert full["etcd"] == {"local": {"dataDir": "/var/lib/etcd"}} and full["kubernetesVersion"] == "v1.36.0"
    assert documents.cluster({"ClusterConfiguration": full}) == full


def test_a_cluster_is_stored_as_kubeadms_types_write_it():
    given = {
        "certificateValidityPeriod": "90m",
        "featureGates": {"ControlPlaneKubeletLocalMode": False},
        "apiServer": {"certSANs": [], "extraArgs": [{"name": "profiling", "value": ""}]},
        "proxy": {"disabled": False},
    }
    stored = documents.stored(documents.cluster({"ClusterConfiguration": given}))
    assert stored["certificateValidityPeriod"] == "1h30m0s" and stored["caCertificateValidityPeriod"] == "87600h0m0s"
    assert stored["featureGates"] == given["featureGates"] and stored["proxy"] == {}
    assert stored["apiServer"] == {"extraArgs": given["apiServer"]["extraArgs"]}


@pytest.mark.parametrize("skip, dns, proxy", [([], {}, {}), (["addon/kube-proxy"], {}, True), (["addon"], True, True)])
def test_an_addon_whose_phase_is_skipped_is_stored_as_disabled(skip, dns, proxy):
    full = documents.cluster({})
    documents.disable_skipped(full, skip)
    expected = [{"disabled": True} if each is True else each for each in (dns, proxy)]
    assert [documents.stored(full)[name] for name in ("dns", "proxy")] == expected


@pytest.mark.parametrize(
    "endpoint, shown",
    [
        ("api.example.com", "api.example.com:6443"),
        ("api.example.com:443", "api.example.com:443"),
        ("", "10.0.0.1:6443"),
        ("[fd00::1]:443", "[fd00::1]:443"),
    ],
)
def test_the_endpoint_always_has_a_port(endpoint, shown):
    local = {"advertiseAddress": "10.0.0.1", "bindPort": 6443}
    assert documents.endpoint_of({"controlPlaneEndpoint": endpoint}, local) == shown


@pytest.mark.parametrize("text, value", [("4m0s", 240), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25), ("0", 0)])
def test_durations_are_gos(text, value):
    assert documents.seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "5 s", "m5", "1d"])
def test_other_durations_are_refused(text):
    assert "time: invalid duration" in refusal(documents.seconds, text)


LOCAL = {"advertiseAddress": "10.0.0.1", "bindPort": 6443}


@pytest.mark.parametrize(
    "work, arguments, wrong",
    [
        (validation.cluster, [{"controlPlaneEndpoint": "Api:6443"}], 'controlPlaneEndpoint: Invalid value: "Api:6443"'),
        (validation.cluster, [{"controlPlaneEndpoint": "api:99999"}], "port must be a valid number"),
        (validation.cluster, [{"encryptionAlgorithm": "DSA"}], "encryptionAlgorithm: Invalid value"),
        (validation.cluster, [{"certificatesDir": "pki"}], "path is not absolute"),
        (
            validation.cluster,
            [{"etcd": {"external": {"endpoints": ["http://e:2379"]}}}],
            "must be using the HTTPS scheme",
        ),
        (validation.node, [{"name": "N_1"}, LOCAL], "nodeRegistration.name: Invalid value"),
        (validation.node, [{"name": "n1"}, {**LOCAL, "advertiseAddress": "n1"}], "ip address is not valid"),
        (validation.node, [{"name": "n1"}, {**LOCAL, "bindPort": 0}], "port number is not valid"),
        (validation.node, [{"name": "n1"}, LOCAL, "abc"], "certificateKey: Invalid value"),
        (validation.discovery, [{}], "bootstrapToken or file must be set"),
        (
            validation.discovery,
            [{"file": {"kubeConfigPath": "/a"}, "bootstrapToken": {"token": "a"}}],
            "cannot both be set",
        ),
        (validation.discovery, [{"file": {"kubeConfigPath": "a"}}], "not a valid HTTPS URL or a file on disk"),
    ],
)
def test_values_are_validated_with_exit_code_3(work, arguments, wrong):
    if work is validation.cluster:
        arguments = [documents.cluster({"ClusterConfiguration": arguments[0]})]
    with pytest.raises(say.Failure, match=wrong.replace("(", r"\(")) as failed:
        work(*arguments)
    assert failed.value.code == validation.INVALID


@pytest.mark.parametrize(
    "argv, wrong",
    [
        (
            ["init", "--config", "f", "--certificate-key", "k"],
            "can not mix '--config' with arguments [certificate-key]",
        ),
        (["join", "--config", "f", "--token", "t"], "can not mix '--config' with arguments [token]"),
        (
            ["init", "phase", "certs", "ca", "--config", "f", "--cert-dir", "d", "--kubernetes-version", "v1.36.1"],
            "can not mix '--config' with arguments [cert-dir kubernetes-version]",
        ),
        (["init", "--confg", "f"], "unknown flag: --confg"),
        (["init", "--config"], "flag needs an argument: --config"),
        (["initt"], 'unknown command "initt"'),
        ([], "unknown command"),
    ],
)
def test_command_lines_are_refused(argv, wrong):
    def read():
        command, _, flags = options.parse(argv)
        options.check_mixing(command, flags)

    assert wrong in refusal(read)


def test_command_lines_are_read():
    command, rest, flags = options.parse(["init", "phase", "certs", "etcd-healthcheck-client", "--cert-dir=D"])
    assert (command, rest, flags) == (("init", "phase", "certs"), ["etcd-healthcheck-client"], {"cert-dir": "D"})
    assert options.parse(["reset", "-f"]) == (("reset",), [], {"force": True})
    assert options.parse(["version", "-o", "json"]) == (("version",), [], {"output": "json"})
