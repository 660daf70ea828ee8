# Where things are, for the commands in this folder. Sourced, never run.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubeboot
venv=$cache/venv
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

# Runs a module of the emulated world.
world() {
    PYTHONPATH="$project/tests" exec "$venv/bin/python" -m "$@"
}
