#!/usr/bin/env bash
# Fetch a real llama.cpp for the tests into .clients/llama.cpp, without touching the system.
#
#   scripts/install-llama-cpp.sh [FOLDER]
#
# First choice: the llama.cpp packages of Debian sid, unpacked here and run through their own ld.so, so that they work on
# any older Debian. Else: the prebuilt binaries of npm's node-llama-cpp behind a small server that answers the same
# requests. Compiling is left out on purpose: it takes ten minutes, and native builds crash on processors with AMX.
#
# Done once; a second call returns at once. When neither can be had it says why, and fails only where CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

NODE_LLAMA_CPP=3.22.1
MIRROR=http://deb.debian.org/debian
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

folder=${1:-.clients/llama.cpp}
recipe="$(cksum <scripts/install-llama-cpp.sh) $(cksum <tests/clients/llama_server.mjs)"
if [ "$(cat "$folder/recipe" 2>/dev/null)" = "$recipe" ]; then
    exit 0
fi

mkdir -p "$(dirname "$folder")"
staging=$(mktemp -d "$(dirname "$folder")/.staging-XXXXXX")
staging=$(cd "$staging" && pwd)
trap 'rm -rf "$staging"' EXIT
log="$staging/log"

# The private state of one apt run: its own lists, cache, and a record that claims two packages as present which
# llama.cpp asks for and the tests never use.
apt_configuration() {
    local apt=$1
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    echo "deb [signed-by=$KEYRING] $MIRROR sid main" >"$apt/sources.list"
    for package in debconf wget; do
        printf 'Package: %s\nStatus: install ok installed\nVersion: 999\nArchitecture: %s\n' \
            "$package" "$(dpkg --print-architecture)"
        printf 'Multi-Arch: foreign\nMaintainer: none\nDescription: claimed\n\n'
    done >"$apt/status"
    cat >"$apt/apt.conf" <<-END
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
		#clear DPkg::Pre-Install-Pkgs;
		Dir::State "$apt/state";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Log "$apt";
		APT::Sandbox::User "";
		Acquire::Languages "none";
		Acquire::Retries "3";
	END
}

missing() {
    echo "this system has no $1"
    return 1
}

from_debian() {
    { command -v apt-get && command -v dpkg; } >/dev/null || missing "apt" || return
    [ -r "$KEYRING" ] || missing "$KEYRING" || return
    local apt="$staging/apt" root="$staging/debian" backends libraries loader
    apt_configuration "$apt" || return
    apt-get -c "$apt/apt.conf" -q update || return
    apt-get -c "$apt/apt.conf" -q install --download-only --no-install-recommends -y \
        llama.cpp-tools llama.cpp-tools-extra || return
    mkdir "$root"
    for package in "$apt"/cache/archives/*.deb; do
        dpkg -x "$package" "$root" || return
    done
    rm -rf "$apt" "${root:?}/usr/share"
    # ggml looks for its processor variants beside the running program, which is ld.so, and takes the best that runs
    backends=$(cd "$root"/usr/lib/*/ggml/backends* && pwd) || return
    libraries=$(dirname "$(dirname "$backends")")
    loader=$(find "$root/usr/lib" -name 'ld-linux*' | head -n 1)
    cp -L "$loader" "$backends/" || return
    mkdir "$staging/bin"
    for program in "$root"/usr/bin/llama-*; do
        wrapper "$(basename "$program")" \
            "here/debian${backends#"$root"}/$(basename "$loader")" \
            --library-path "here/debian${libraries#"$root"}:here/debian${libraries#"$root"}/llama" \
            "here/debian/usr/bin/$(basename "$program")"
    done
    "$staging/bin/llama-server" --version || return
}

from_npm() {
    { command -v node && command -v npm; } >/dev/null || missing "node and npm" || return
    local binaries
    case "$(uname -s) $(uname -m)" in
    "Linux x86_64") binaries=linux-x64 ;;
    "Linux aarch64") binaries=linux-arm64 ;;
    "Darwin arm64") binaries=mac-arm64-metal ;;
    "Darwin x86_64") binaries=mac-x64 ;;
    *) missing "binaries of node-llama-cpp for $(uname -sm)" || return ;;
    esac
    npm install --prefix "$staging" --omit=optional --ignore-scripts --no-fund --no-audit --loglevel=error \
        "node-llama-cpp@$NODE_LLAMA_CPP" "@node-llama-cpp/$binaries@$NODE_LLAMA_CPP" || return
    cp tests/clients/llama_server.mjs "$staging/" || return
    mkdir "$staging/bin"
    wrapper llama-server node here/llama_server.mjs
    "$staging/bin/llama-server" --version || return
}

# wrapper NAME WORD...: a program in bin/ that runs the words; "here" stands for the folder it is installed in.
wrapper() {
    local name=$1 words="" word
    shift
    for word in "$@"; do
        words+=" \"${word//here/\$here}\""
    done
    # shellcheck disable=SC2016  # what is written is expanded when the wrapper runs
    printf '#!/bin/sh\nhere=$(cd "$(dirname "$0")/.." && pwd)\nexec%s "$@"\n' "$words" >"$staging/bin/$name"
    chmod +x "$staging/bin/$name"
}

for source in debian npm; do
    if "from_$source" >>"$log" 2>&1; then
        version=$("$staging/bin/llama-server" --version 2>&1 | sed -n 's/^version: //p')
        echo "$recipe" >"$staging/recipe"
        rm -rf "$folder"
        mv "$staging" "$folder"
        echo "llama.cpp $version from $source is in $folder"
        exit 0
    fi
    rm -rf "$staging/apt" "$staging/debian" "${staging:?}/bin" "$staging/node_modules"
done

echo "llama.cpp cannot be had, so its tests are left out: $(grep -v '^ *$' "$log" | tail -n 3 | tr '\n' ';')" >&2
[ "${CI:-}" != true ]
