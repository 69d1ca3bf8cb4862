#!/usr/bin/env bash
# Runs every test of the workspace and then those of the emulator, which is a workspace of its own. What each printed goes
# to a file, what matters to the screen: a line a test, the failures in full, and by name what could not run here.
#
#     tests/run_all.sh LOG CARGO_ARGUMENTS_OF_THE_EMULATOR...
set -uo pipefail
log=$1
shift
mkdir -p "$(dirname "$log")"
: >"$log"

run() {
    # Many tests make something panic on purpose: no backtraces.
    RUST_BACKTRACE=0 "${CARGO:-cargo}" test "$@" --no-fail-fast -- --show-output 2>&1 | tee -a "$log" |
        grep --line-buffered -E '^(test .* \.\.\. |test result:|skipped: |     Running|   Doc-tests|   Compiling|error)'
    return "${PIPESTATUS[0]}"
}

status=0
run --workspace || status=$?
run "$@" || status=$?

if [ "$status" != 0 ]; then
    echo
    awk '/^failures:$/ { show = 1 } /^test result:/ { show = 0 } show' "$log"
fi
echo
echo "Not run here:"
grep -E '^skipped: ' "$log" | sort -u || echo "nothing: every test ran"
exit "$status"
