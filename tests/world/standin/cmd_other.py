"""kubeadm's smaller commands: tokens, kubeconfigs for users, single certificates, checks of documents."""

import datetime

from . import certs, cluster, cmd_join, documents, images, nodefiles, preflight, say, sharedcerts, validation

COMPONENTS = ("controller-manager", "scheduler")
ADMIN = "/etc/kubernetes/admin.conf"


def kubeconfig_user(_rest, flags, kinds):
    """`kubeconfig user`: a kubeconfig on standard output, signed by the CA on this machine; nothing is written."""
    if not flags.get("client-name"):
        raise say.Failure("missing required argument --client-name")
    if flags.get("token"):
        raise say.Failure("the stand-in makes kubeconfigs with certificates only: leave out --token")
    if "config" in flags and not {"ClusterConfiguration", "InitConfiguration"} & set(kinds):
        raise say.Failure("no InitConfiguration or ClusterConfiguration kind was found in the YAML file")
    files = _files(flags, kinds)
    validation.cluster(files.cluster)
    life = documents.seconds(flags.get("validity-period") or "8760h0m0s")
    say.out(
        files.user_config(
            flags["client-name"], flags.get("org"), files.endpoint_server(), datetime.timedelta(seconds=life)
        )
    )


def _files(flags, kinds):
    given, clustering = kinds.get("InitConfiguration", {}), dict(kinds.get("ClusterConfiguration", {}))
    for flag, field in (
        ("cert-dir", "certificatesDir"),
        ("kubernetes-version", "kubernetesVersion"),
        ("control-plane-endpoint", "controlPlaneEndpoint"),
    ):
        if flags.get(flag):
            clustering[field] = flags[flag]
    local = documents.local_endpoint(given.get("localAPIEndpoint"))
    local["advertiseAddress"] = flags.get("apiserver-advertise-address") or local["advertiseAddress"]
    registration = documents.registration(given.get("nodeRegistration"))
    registration["name"] = flags.get("node-name") or registration["name"]
    documents.note_version(clustering)
    clustering = documents.cluster({"ClusterConfiguration": clustering})
    preflight.supported(clustering["kubernetesVersion"])
    return nodefiles.Files(clustering, local, registration)


def phase_certs(rest, flags, kinds):
    """`init phase certs NAME`: one certificate, or all of them."""
    wanted = {name.replace("/", "-"): name for name in certs.INIT_ORDER}
    if rest not in (["all"], ["sa"]) and (len(rest) != 1 or rest[0] not in wanted):
        raise say.Failure(f'unknown command "{" ".join(rest)}" for "kubeadm init phase certs"')
    maker = _files(flags, kinds).certs
    for name in certs.INIT_ORDER if rest == ["all"] else [wanted[each] for each in rest if each in wanted]:
        try:
            maker.make(name)
        except say.Failure as failure:
            raise say.Failure(f"error execution phase certs/{name.replace('/', '-')}: {failure}") from failure
    if rest in (["all"], ["sa"]):
        maker.service_accounts()


def phase_kubeconfig(rest, flags, kinds):
    """`init phase kubeconfig NAME`: one kubeconfig file."""
    names = {name.removesuffix(".conf"): name for name in nodefiles.CONFIGS}
    if len(rest) != 1 or rest[0] not in {*names, "all"}:
        raise say.Failure(f'unknown command "{" ".join(rest)}" for "kubeadm init phase kubeconfig"')
    try:
        _files(flags, kinds).kubeconfigs(
            list(names.values()) if rest == ["all"] else [names[rest[0]]],
            flags.get("kubeconfig-dir") or nodefiles.FOLDER,
        )
    except say.Failure as failure:
        raise say.Failure(
            f"error execution phase kubeconfig/{rest[0]}: couldn't create a kubeconfig; the CA files couldn't be "
            f"loaded: {failure}"
        ) from failure


def phase_control_plane(rest, flags, kinds):
    """`init phase control-plane NAME`: one static pod of the control plane proper, or all of them."""
    pods = {"all": None, "apiserver": "kube-apiserver", **{each: f"kube-{each}" for each in COMPONENTS}}
    if len(rest) != 1 or rest[0] not in pods:
        raise say.Failure(f'unknown command "{" ".join(rest)}" for "kubeadm init phase control-plane"')
    made = _files(flags, kinds)
    made.patches(kinds.get("InitConfiguration", {}).get("patches"))
    made.control_plane(pods[rest[0]])


def phase_etcd(rest, flags, kinds):
    """`init phase etcd local`: the static pod of a first member, whatever data there is."""
    if rest != ["local"]:
        raise say.Failure(f'unknown command "{" ".join(rest)}" for "kubeadm init phase etcd"')
    made = _files(flags, kinds)
    made.patches(kinds.get("InitConfiguration", {}).get("patches"))
    if "external" not in made.cluster["etcd"]:
        say.out('[etcd] Creating static Pod manifest for local etcd in "/etc/kubernetes/manifests"')
        made.etcd()


def phase_upload_certs(_rest, flags, kinds):
    """`init phase upload-certs`: the shared certificates into the cluster, encrypted."""
    if not flags.get("upload-certs"):
        say.out("[upload-certs] Skipping phase. Please see --upload-certs")
        return
    documents.note_version(kinds.get("ClusterConfiguration", {}))
    key = kinds.get("InitConfiguration", {}).get("certificateKey") or flags.get("certificate-key")
    sharedcerts.upload(_admin(flags), documents.cluster(kinds)["certificatesDir"], key or sharedcerts.new_key())


def _admin(flags):
    file = flags.get("kubeconfig") or ADMIN
    try:
        return cluster.client(file)
    except (OSError, ValueError) as error:
        raise say.Failure(
            f"failed to load admin kubeconfig: open {file}: {getattr(error, 'strerror', None) or error}"
        ) from error


def token_create(rest, flags, _kinds):
    """`token create [TOKEN]`: a bootstrap token in the cluster, shown on standard output."""
    token = rest[0] if rest else cluster.new_token()
    api = _admin(flags)
    ttl = documents.seconds(flags.get("ttl") or "24h0m0s")
    cluster.retry(lambda: cluster.save_token(api, token, ttl, flags.get("description", "")), 10.0)
    say.out(token)


def token_list(_rest, flags, _kinds):
    """`token list`: the bootstrap tokens, one a line."""
    for secret in _admin(flags).get(f"{cluster.SYSTEM}/secrets")["items"]:
        if secret["metadata"]["name"].startswith("bootstrap-token-"):
            say.out(secret["metadata"]["name"].removeprefix("bootstrap-token-") + ".<value withheld>")


def token_delete(rest, flags, _kinds):
    """`token delete ID...`."""
    if not rest:
        raise say.Failure("missing argument; 'token delete' is missing token of form [\"^([a-z0-9]{6})$\"]")
    for each in rest:
        ident = each.split(".")[0]
        _admin(flags).call("DELETE", f"{cluster.SYSTEM}/secrets/bootstrap-token-{ident}")
        say.out(f'bootstrap token "{ident}" deleted')


def token_generate(_rest, _flags, _kinds):
    """`token generate`: a token that nobody knows yet."""
    say.out(cluster.new_token())


def config_validate(_rest, flags, kinds):
    """`config validate`: the documents have been checked strictly when they were read."""
    if "config" not in flags:
        raise say.Failure("the --config flag is mandatory")
    if {"InitConfiguration", "ClusterConfiguration"} & set(kinds):
        validation.cluster(documents.cluster(kinds))
    for kind, field in (("InitConfiguration", None), ("JoinConfiguration", "controlPlane")):
        if kind in kinds:
            given = kinds[kind]
            control = (given.get(field) or {}) if field else given
            validation.node(
                documents.registration(given.get("nodeRegistration")),
                documents.local_endpoint(control.get("localAPIEndpoint")),
                control.get("certificateKey", ""),
            )
    if "JoinConfiguration" in kinds:
        validation.discovery(kinds["JoinConfiguration"].get("discovery") or {})
        validation.ca_path(kinds["JoinConfiguration"].get("caCertPath") or cmd_join.CA_PATH)
    say.out("ok")


def images_list(_rest, flags, kinds):
    """`config images list`: the names."""
    for name in _images(flags, kinds):
        say.out(name)


def images_pull(_rest, flags, kinds):
    """`config images pull`: the runtime has them from now on."""
    for name in _images(flags, kinds):
        images.pull([name])
        say.out(f"[config/images] Pulled {name}")


def _images(flags, kinds):
    clustering = documents.cluster(kinds)
    clustering["kubernetesVersion"] = flags.get("kubernetes-version") or clustering["kubernetesVersion"]
    preflight.supported(clustering["kubernetesVersion"])
    return images.names(clustering)


def certificate_key(_rest, _flags, _kinds):
    """`certs certificate-key`: a random one."""
    say.out(sharedcerts.new_key())
