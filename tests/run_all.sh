#!/usr/bin/env bash
# Runs every test of the workspace. What each printed goes to a file, what matters to the screen: a line a test, the
# failures in full, and by name what could not run here.
#
#     tests/run_all.sh LOG
set -uo pipefail
log=$1
mkdir -p "$(dirname "$log")"

# Many tests make something panic on purpose: no backtraces.
RUST_BACKTRACE=0 "${CARGO:-cargo}" test --workspace --no-fail-fast -- --show-output 2>&1 | tee "$log" |
    grep --line-buffered -E '^(test .* \.\.\. |test result:|skipped: |     Running|   Doc-tests|   Compiling|error)'
status=${PIPESTATUS[0]}

if [ "$status" != 0 ]; then
    echo
    awk '/^failures:$/ { show = 1 } /^test result:/ { show = 0 } show' "$log"
fi
echo
echo "Not run here:"
grep -E '^skipped: ' "$log" | sort -u || echo "nothing: every test ran"
exit "$status"
