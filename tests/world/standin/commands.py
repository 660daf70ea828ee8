"""Which function carries out which command, once the documents are read."""

from . import cmd_init, cmd_join, cmd_other, cmd_renew, cmd_reset, cmd_upgrade, dial, documents, etcdapi, kubeapi, node, say

OTHERS = {
    ("kubeconfig", "user"): cmd_other.kubeconfig_user,
    ("init", "phase", "certs"): cmd_other.phase_certs,
    ("init", "phase", "kubeconfig"): cmd_other.phase_kubeconfig,
    ("init", "phase", "control-plane"): cmd_other.phase_control_plane,
    ("init", "phase", "etcd"): cmd_other.phase_etcd,
    ("init", "phase", "upload-certs"): cmd_other.phase_upload_certs,
    ("token", "create"): cmd_other.token_create,
    ("token", "list"): cmd_other.token_list,
    ("token", "delete"): cmd_other.token_delete,
    ("token", "generate"): cmd_other.token_generate,
    ("config", "validate"): cmd_other.config_validate,
    ("config", "images", "list"): cmd_other.images_list,
    ("config", "images", "pull"): cmd_other.images_pull,
    ("certs", "certificate-key"): cmd_other.certificate_key,
    ("certs", "renew"): cmd_renew.renew,
    **cmd_upgrade.COMMANDS,
}


def run(command, rest, flags):
    """Runs a command. Raises say.Failure for everything that ends it."""
    kinds = _documents(flags)
    try:
        if command == ("init",):
            _init(flags, kinds)
        elif command == ("join",):
            _join(flags, kinds)
        elif command[0] == "reset":
            _reset(command, flags, kinds)
        else:
            OTHERS[command](rest, flags, kinds)
    except (dial.Unreachable, etcdapi.EtcdError, kubeapi.ApiError) as error:
        raise say.Failure(str(error)) from error


def _documents(flags):
    if "config" not in flags:
        return {}
    try:
        with open(node.path(flags["config"]), encoding="utf-8") as text:
            return documents.parse(text.read())
    except (OSError, UnicodeDecodeError) as error:
        why = str(getattr(error, "strerror", None) or error).lower()
        raise say.Failure(f'unable to read config from "{flags["config"]}" : open {flags["config"]}: {why}') from error


def _ignore_others(kinds, wanted):
    """Warns of documents that a command does not read."""
    for kind in sorted(set(kinds) - {*wanted, *documents.COMPONENTS}):
        shown = f"{kinds[kind]['apiVersion']}, Kind={kind}"
        say.warn("common.go:152", f"[config] WARNING: Ignored configuration document with GroupVersionKind {shown}")


def _init(flags, kinds):
    _ignore_others(kinds, ("InitConfiguration", "ClusterConfiguration"))
    if "config" in flags and not {"InitConfiguration", "ClusterConfiguration"} & set(kinds):
        raise say.Failure("no InitConfiguration or ClusterConfiguration kind was found in the YAML file")
    given = kinds.setdefault("InitConfiguration", {})
    clustering = kinds.setdefault("ClusterConfiguration", {})
    registration = given["nodeRegistration"] = dict(given.get("nodeRegistration") or {})
    for flag, place, field in (
        ("node-name", registration, "name"),
        ("cri-socket", registration, "criSocket"),
        ("control-plane-endpoint", clustering, "controlPlaneEndpoint"),
        ("kubernetes-version", clustering, "kubernetesVersion"),
        ("cert-dir", clustering, "certificatesDir"),
    ):
        if flags.get(flag):
            place[field] = flags[flag]
    _no_dry_run(flags, given)
    documents.note_version(clustering)
    cmd_init.Init(flags, kinds).run()


def _join(flags, kinds):
    if "config" not in flags:
        raise say.Failure("the stand-in joins by a document only: give --config with a JoinConfiguration")
    if "JoinConfiguration" not in kinds:
        raise say.Failure(f"no JoinConfiguration found in the config file {flags['config']}")
    _ignore_others(kinds, ("JoinConfiguration",))
    _no_dry_run(flags, kinds["JoinConfiguration"])
    cmd_join.Join(flags, kinds).run()


def _reset(command, flags, kinds):
    _ignore_others(kinds, ("ResetConfiguration",))
    _no_dry_run(flags, kinds.get("ResetConfiguration", {}))
    made = cmd_reset.Reset(flags, kinds)
    {
        ("reset",): made.run,
        ("reset", "phase", "remove-etcd-member"): made.remove_member,
        ("reset", "phase", "cleanup-node"): made.cleanup,
    }[command]()


def _no_dry_run(flags, given):
    if flags.get("dry-run") or given.get("dryRun"):
        raise say.Failure("the stand-in has no dry run: leave out --dry-run and dryRun")
