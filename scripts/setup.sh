#!/usr/bin/env bash
# Make .venv and install Gnomon with its development tools into it, every version pinned by constraints.txt.
#
#   scripts/setup.sh                 PYTHON=python3.12 scripts/setup.sh
#
# torch comes first and by itself: its build depends on the machine (CPU on Linux without an NVIDIA GPU, which saves
# gigabytes; the standard one elsewhere), and what is there already no other package replaces.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || fail "PYTHON=$PYTHON is no Python of version 3.11 or newer."
        echo "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python of version 3.11 or newer was found; install one, or name it: make setup PYTHON=/path/to/python3"
}

torch_version() {
    sed -n 's/^torch==//p' constraints.txt
}

install_torch() {
    local version
    version=$(torch_version)
    if [ "$(uname -s)" != Linux ] || [ -e /dev/nvidia0 ] || nvidia-smi -L >/dev/null 2>&1; then
        pip_install -c constraints.txt "torch==$version" || fail "torch $version could not be installed; see pip's words above."
        return
    fi
    case $(.venv/bin/pip list --format=freeze 2>/dev/null) in *"torch==$version"*) return ;; esac
    pip_install --no-deps "torch==$version+cpu" 2>/dev/null ||
        pip_install --no-deps --index-url https://download.pytorch.org/whl/cpu "torch==$version+cpu" ||
        fail "torch $version for the CPU could not be installed; see pip's words above."
}

pip_install() {
    .venv/bin/python -m pip install -qq --disable-pip-version-check "$@"
}

python=$(find_python)
if ! { [ -x .venv/bin/python ] && is_new_enough .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    echo "setup: making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv || fail "the virtual environment could not be made (on Debian: apt install python3-venv)."
fi
echo "setup: installing torch $(torch_version)"
install_torch
echo "setup: installing gnomon and its development tools"
pip_install -c constraints.txt -e '.[dev]' || fail "the packages could not be installed; see pip's words above."
touch .venv/.stamp
echo "setup: done, see: .venv/bin/gnomon --help"
