#!/usr/bin/env bash
# Makes .venv with everything in constraints.txt, torch first, so that no other package can pull another torch.
# Without an NVIDIA GPU it takes the CPU build, which saves gigabytes. Done once; `make setup` calls it when needed.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "gnomon needs Python 3.11 or newer; install it, or name one: PYTHON=/path/to/python3 make setup" >&2
    return 1
}

has_gpu() { [ -e /dev/nvidia0 ] || command -v nvidia-smi >/dev/null; }

torch=$(grep '^torch==' constraints.txt)
python=$(find_python)
if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv || { echo "the venv module is missing: on Debian, apt install python3-venv" >&2; exit 1; }
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

if ! .venv/bin/python -c "import torch" 2>/dev/null; then
    echo "installing $torch ..."
    if [ "$(uname -s)" = Linux ] && ! has_gpu; then
        pip install -q "$torch+cpu" 2>/dev/null ||
            pip install -q --index-url https://download.pytorch.org/whl/cpu "$torch+cpu"
    else
        pip install -q "$torch"
    fi
fi
echo "installing gnomon and what it needs ..."
pip install -q -c constraints.txt -e '.[dev]'
touch .venv/ready
echo "ready: .venv/bin/gnomon --help"
