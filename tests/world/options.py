"""How a world is to be: what `dev/world up` was told, kept as JSON in the world's folder."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .standin import whole


@dataclass
class Options:
    """See `dev/world up --help` for what each of them means."""

    binary: str
    nodes: int = 3
    desired: int | None = None
    ids: list[str] = field(default_factory=list)
    off: list[int] = field(default_factory=list)
    up: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    kubeadm_config: str = ""
    external_etcd: list[int] | None = None
    balancer: str = "normal"
    check_interval: float = 1.0
    check_threshold: int = 2
    launch_hook: str = ""
    terminate_hook: str = ""
    hook_seconds: int = 3600
    retain: bool = False
    agents: bool = False
    imds: str = "normal"
    iam: dict | None = None
    etcd: str = "installed"
    etcdutl: bool = False
    kubernetes: str = ""
    # The group of workers, where there is one, and what is different on its machines.
    workers: int | None = None
    worker_settings: dict[str, str] = field(default_factory=dict)
    worker_kubeadm_config: str = ""
    worker_launch_hook: str = ""
    worker_terminate_hook: str = ""
    worker_hook_seconds: int = 3600

    def write(self, path: Path) -> None:
        whole.write(path, json.dumps(asdict(self), indent=2))

    @classmethod
    def read(cls, path: Path) -> "Options":
        return cls(**json.loads(path.read_text()))


def config_toml(settings: dict[str, str]) -> str:
    """A machine's config.toml. Numbers, true, false, lists and what is quoted are taken as TOML, all else as text."""
    return "".join(f"{name} = {_toml(value)}\n" for name, value in settings.items())


def _toml(value: str) -> str:
    is_toml = value in ("true", "false") or value.lstrip("-").isdigit() or value[:1] in ("[", "{", '"', "'")
    return value if is_toml else json.dumps(value)
