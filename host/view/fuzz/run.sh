#!/usr/bin/env bash
# Feeds a target for so many seconds, beginning with the corpus in the tree:
#
#     host/view/fuzz/run.sh [TARGET [SECONDS]]        json, view, fhirpath, differential; all of them, a minute each
#
# What is found is kept beside the build. An input that breaks a promise ends it with 1 and is left in `artifacts/`.
set -euo pipefail
cd "$(dirname "$0")"
targets=${1:-json view fhirpath differential}
seconds=${2:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
# What libFuzzer wants to know of a program, all of it stable options of the compiler; with `--target`, so that build
# scripts are left alone.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
built=${CARGO_TARGET_DIR:-target}/fuzz
for target in $targets; do
    cargo build --quiet --release --target "$host" --target-dir "$built" --bin "$target"
    mkdir -p "$built/corpus/$target" "artifacts/$target"
    "$built/$host/release/$target" -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=1 -artifact_prefix="artifacts/$target/" \
        "$built/corpus/$target" "corpus/$target" 2>"$built/$target.log" || {
        tail -n 40 "$built/$target.log"
        exit 1
    }
    awk -v target="$target" '/stat::number_of_executed_units/ { runs = $2 } /cov:/ { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        END { printf "%s: %s inputs, %s edges, nothing found\n", target, runs, edges }' "$built/$target.log"
done
