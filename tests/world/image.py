"""The machine image that a group launches from, as far as images differ here: which Kubernetes they bring."""

import re
from dataclasses import asdict, dataclass

VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9a-z.]+)?")


@dataclass(frozen=True)
class Image:
    """What is empty is as the stand-in has it by itself (standin/node.py), or for etcd as the world has it."""

    kubernetes: str = ""
    kubelet: str = ""
    etcd: str = ""

    def __post_init__(self):
        for version in filter(None, (self.kubernetes, self.kubelet)):
            if not VERSION.fullmatch(version):
                raise ValueError(f"'{version}' is no version of Kubernetes such as v1.36.1")

    def env(self) -> dict[str, str]:
        """What tells the stand-in of it on each machine, from its first boot to its last."""
        given = {
            "STANDIN_KUBEADM_VERSION": self.kubernetes, "STANDIN_KUBELET_VERSION": self.kubelet,
            "STANDIN_ETCD_IMAGE": self.etcd,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value}

    def describe(self) -> dict:
        return asdict(self)
