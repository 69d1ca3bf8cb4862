#!/usr/bin/env bash
# Lets Apache Spark judge every SQL statement that tests produce.
#
#     tests/judges/spark/run.sh            runs the tests that produce statements, then judges those
#     tests/judges/spark/run.sh FILE...    judges statements that were collected before
#
# LAKEFEED_JUDGE_PYTHON names a Python that has pyspark; else `.venv` gets it. A Java Development Kit is installed where
# there is none, on Debian and what follows it.
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
here=$root/tests/judges/spark
cargo=${CARGO:-cargo}
target=$(cd "$root" && mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
work=$target/judge
mkdir -p "$work"

cannot() {
    echo "the judge cannot run: $1" >&2
    exit 2
}

find_java() {
    if ! command -v javac >/dev/null; then
        local as_root=()
        [ "$(id -u)" = 0 ] || as_root=(sudo -n)
        { DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get update -qq &&
            "${as_root[@]}" apt-get install -qq -y --no-install-recommends default-jdk-headless >/dev/null; } ||
            cannot "there is no javac, and default-jdk-headless cannot be installed; install a JDK, 17 or later"
    fi
    local version
    version=$(javac -version 2>&1 | sed -E 's/^javac ([0-9]+).*/\1/')
    [ "$version" -ge 17 ] || cannot "javac is $version; Apache Spark needs a JDK, 17 or later"
}

find_spark() {
    python=${LAKEFEED_JUDGE_PYTHON:-$root/.venv/bin/python}
    if ! "$python" -c 'import pyspark' 2>/dev/null; then
        [ -z "${LAKEFEED_JUDGE_PYTHON:-}" ] || cannot "$python has no pyspark; see $here/requirements.txt"
        { [ -x "$python" ] || "${PYTHON:-python3}" -m venv "$root/.venv"; } &&
            "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" ||
            cannot "pyspark cannot be installed; see $here/requirements.txt"
    fi
    jars=$("$python" -c 'import os, pyspark; print(os.path.join(os.path.dirname(pyspark.__file__), "jars"))')
}

# The catalog, for this version of Spark.
build_catalog() {
    jar=$work/catalog-$(cat "$here/MemoryCatalog.java" "$here/requirements.txt" | sha256sum | cut -c1-16).jar
    [ -f "$jar" ] && return
    rm -rf "$work/classes"
    javac -nowarn -Xlint:none -cp "$jars/*" -d "$work/classes" "$here/MemoryCatalog.java"
    jar --create --file "$jar.new" -C "$work/classes" .
    mv "$jar.new" "$jar"
}

# Runs tests for what they write down; whether they pass is for `make test` to say, but they must run.
collect() {
    local log=$work/$1.log
    shift
    "$@" >"$log" 2>&1 || grep -q '^test result:' "$log" || {
        tail -n 40 "$log" >&2
        cannot "the tests that produce statements do not build or run"
    }
    grep -E '^test .* FAILED$' "$log" | sed 's/$/ (its statements are judged as far as it came)/' || true
}

collect_all() {
    statements=$work/statements.jsonl
    rm -f "$statements"
    export LAKEFEED_COLLECT_SQL=$statements EMULATOR_COLLECT_SQL=$statements RUST_BACKTRACE=0
    cd "$root"
    collect plugins "$cargo" test --workspace --no-fail-fast --test service --test remedies
    collect emulator "$cargo" test --manifest-path tests/databricks-emulator/Cargo.toml --target-dir "$target/emulator" \
        --no-fail-fast
    if [ -x "$target/debug/lakefeed" ] && [ -d "$root/tests/end_to_end/databricks" ]; then
        collect end-to-end "$cargo" test --workspace --no-fail-fast --test end_to_end -- databricks::walk
    fi
    for source in sql-warehouse databricks-types emulator; do
        grep -q "\"source\":\"$source\"" "$statements" || cannot "the tests of $source produced no statement"
    done
}

find_java
find_spark
build_catalog
if (($#)); then
    files=("$@")
else
    collect_all
    files=("$statements")
fi
status=0
# What the Java machine says on its way up is shown only if it does not come up.
"$python" -B "$here/judge.py" "$jar" "${files[@]}" 2>"$work/spark.log" || status=$?
((status <= 1)) && ! grep -q '^Traceback' "$work/spark.log" || tail -n 40 "$work/spark.log" >&2
exit "$status"
