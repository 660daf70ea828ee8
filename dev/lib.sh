# Where things are, for the commands in this folder. Sourced, never run.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubeboot
venv=$cache/venv
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}

# What a build runs besides Rust, as a command or a file that shows that it is there, and the Debian package that has it.
# shellcheck disable=SC2034 # For those who source this.
for_builds=(
    cc:build-essential
    protoc:protobuf-compiler
    /usr/include/google/protobuf/descriptor.proto:libprotobuf-dev
)

# The packages that are missing, of entries such as those.
missing_packages() {
    local entry
    for entry; do
        is_there "${entry%%:*}" || echo "${entry##*:}"
    done
}

is_there() {
    case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# Runs a module of the emulated world.
world() {
    PYTHONPATH="$project/tests" exec "$venv/bin/python" -m "$@"
}
