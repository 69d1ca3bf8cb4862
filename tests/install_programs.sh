#!/usr/bin/env bash
# Installs what the tests start besides our own programs, where it is not there yet. Debian and what follows it.
#
#     tests/install_programs.sh
set -euo pipefail

packages=()
command -v strace >/dev/null || packages+=(strace)
command -v cc >/dev/null || packages+=(gcc libc6-dev)
# The fuzzer is C++.
command -v g++ >/dev/null || packages+=(g++)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3-venv)
# The tests start servers of their own; none needs to be running.
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || packages+=(postgresql)
((${#packages[@]})) || exit 0

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
