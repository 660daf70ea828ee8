"""The kubelet program: `kubelet --version` says the version, `kubelet` supervises the node until it is killed."""

import sys

from . import node


def main(argv):
    """Runs one of the two; returns the exit code."""
    if "--version" in argv:
        print(f"Kubernetes {node.kubelet_version()}")
        return 0
    from . import supervisor

    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
