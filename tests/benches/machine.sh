#!/usr/bin/env bash
# What a number is worth: the commit, the machine and how busy it is.
set -euo pipefail
echo "commit   $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes')"
echo "machine  $(nproc) cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(free -g | awk '/^Mem/ {print $2}') GiB"
echo "system   $(uname -sr), $(rustc --version)"
echo "load     $(cut -d' ' -f1-3 /proc/loadavg)"
