"""The three views of `views/`, from NDJSON to Parquet, by `lakefeed views run` and by DuckDB with SQL written by hand.

    against_duckdb.py LAKEFEED SAMPLE_DATA [--patients N] [--rounds N] [--check]

LAKEFEED and SAMPLE_DATA are the programs `lakefeed` and `lakefeed-sample-data`. Both sides write snappy; what they wrote
is compared cell by cell. A rate is resources a CPU-second, the best of the rounds, both sides taking turns on one thread.
Of DuckDB the query alone is counted, of lakefeed the whole program. Then lakefeed alone: two threads against one, memory,
and zstd from disk against the same bytes from memory. `--check` compares and measures nothing; what differs ends it
with 1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# View, resource type, and what the rate divided by DuckDB's must and should be.
VIEWS = [
    ("a_patient_flat", "Patient", 2.0, 3.0),
    ("b_observation_unnest", "Observation", 1.3, 2.0),
    ("c_patient_wide", "Patient", 2.5, 4.0),
]
# Resources a CPU-second of views A, B and C, measured in November 2026 on a 2.8 GHz Xeon with AVX-512. Theirs to NDJSON and
# CSV; DuckDB's to Parquet says how much faster that machine is than this one.
ELSEWHERE = {"octofhir-sof 0.3.1": (6_800, 6_500, 3_800), "helios-sof 0.2.7": (1_500, 1_600, 330)}
DUCKDB_ELSEWHERE = (183_000, 204_000, 49_500)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lakefeed")
    parser.add_argument("sample_data")
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    # What a child is for.
    parser.add_argument("--query", nargs=2, metavar=("SQL", "OUTPUT"))
    parser.add_argument("--compare", nargs=2, metavar=("OURS", "THEIRS"))
    options = parser.parse_args()
    if options.query:
        return query(*options.query)
    if options.compare:
        return compare(*options.compare)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, Path(folder))
        if not bench.check() or options.check:
            return 0 if bench.is_same else 1
        bench.rates()
        bench.threads()
        bench.memory()
        bench.from_disk()
    return 0


def child(*arguments):
    """Lets a child do something with DuckDB and answers what it prints. The memory that a program held is counted for
    those that it starts, too: so this program stays small."""
    command = [sys.executable, __file__, "-", "-", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def query(sql, output):
    """Runs one query on one thread and prints the CPU-seconds that it took."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1; SET TimeZone = 'UTC'")
    began = time.process_time()
    connection.execute(f"COPY ({Path(sql).read_text()}) TO '{output}' (FORMAT parquet, COMPRESSION snappy)")
    print(time.process_time() - began)


def compare(ours, theirs):
    """Prints how many rows two files hold, and how many only one of them does; equal rows are counted."""
    import duckdb

    connection = duckdb.connect()
    count = lambda rows: connection.execute(f"SELECT count(*) FROM ({rows})").fetchone()[0]
    described = connection.execute(f"DESCRIBE SELECT * FROM '{theirs}'").fetchall()
    # A decimal is text on our side, with all its digits, and a double on the other.
    typed = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind, *_ in described)
    left, right = f"SELECT {typed} FROM '{ours}'", f"SELECT {typed} FROM '{theirs}'"
    print(json.dumps({
        "rows": count(left), "columns": len(described),
        "only_ours": count(f"{left} EXCEPT ALL {right}"), "only_theirs": count(f"{right} EXCEPT ALL {left}"),
        "bytes": os.path.getsize(ours), "bytes_of_duckdb": os.path.getsize(theirs),
    }))


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder, self.is_same = options, folder, True
        self.inputs, self.counts = {}, {}
        subprocess.run([options.sample_data, folder, str(options.patients)], check=True)
        self.stored("Patient", options.patients, '"meta":{', '"meta":{')
        # Three times as many Observations as Patients have about as many bytes.
        self.stored("Observation", options.patients * 3, '"status":', '"meta":{')
        for name in ("Encounter.ndjson", "Patient.ndjson", "Observation.ndjson"):
            (folder / name).unlink()

    def stored(self, kind, count, place, opening):
        """Resources as a store keeps them: with their version and the time of their last change."""
        path = self.folder / f"{kind}.stored.ndjson"
        with open(self.folder / f"{kind}.ndjson") as lines, open(path, "w") as out:
            for number, line in zip(range(count), lines):
                moment = f"2025-03-{1 + number % 28:02}T10:{number % 60:02}:30.{number % 1000:03}Z"
                added = f'"versionId":"1","lastUpdated":"{moment}"'
                replaced = f"{opening}{added}," if opening == place else f"{opening}{added}}},{place}"
                out.write(line.replace(place, replaced, 1))
        self.inputs[kind], self.counts[kind] = path, count

    def ours(self, view, kind, *more, source=None, threads=1, one_core=False):
        """Runs our side; answers seconds, CPU-seconds and the most memory in MB."""
        command = [self.options.lakefeed, "views", "run", HERE / "views" / f"{view}.json"]
        for path in source or [self.inputs[kind]]:
            command += ["--input", path]
        command += ["--format", "parquet", "--threads", str(threads), "--output", self.folder / "ours.parquet", *more]
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        if one_core:
            os.sched_setaffinity(child.pid, {0})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"lakefeed ended with {child.returncode}")
        return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000

    def theirs(self, view, kind):
        """Runs DuckDB's side; answers CPU-seconds."""
        sql = self.folder / f"{view}.sql"
        sql.write_text((HERE / "duckdb" / f"{view}.sql").read_text().replace("{input}", str(self.inputs[kind])))
        return float(child("--query", sql, self.folder / "theirs.parquet"))

    def check(self):
        """Whether both sides give the same rows."""
        for view, kind, _, _ in VIEWS:
            self.ours(view, kind)
            self.theirs(view, kind)
            files = (self.folder / f"{name}.parquet" for name in ("ours", "theirs"))
            found = json.loads(child("--compare", *files))
            print(json.dumps({"view": view, **found}))
            self.is_same &= found["only_ours"] == found["only_theirs"] == 0 < found["rows"]
        return self.is_same

    def rates(self):
        others = " | ".join(f"{name}, scaled" for name in ELSEWHERE)
        print(f"\n| view | resources a CPU-second | DuckDB | ratio (must, aim) | {others} |\n|---|---|---|---|---|---|")
        for place, (view, kind, must, aim) in enumerate(VIEWS):
            ours, theirs = 1e9, 1e9
            for _ in range(self.options.rounds):
                ours = min(ours, self.ours(view, kind)[1])
                theirs = min(theirs, self.theirs(view, kind))
            rate, count = self.counts[kind] / ours, self.counts[kind]
            slower = DUCKDB_ELSEWHERE[place] / (count / theirs)
            times = " | ".join(f"{rate * slower / rates[place]:.0f} times" for rates in ELSEWHERE.values())
            print(f"| {view} | {rate:.0f} | {count / theirs:.0f} | {theirs / ours:.2f} ({must}, {aim}) | {times} |", flush=True)

    def threads(self):
        for view, kind, _, _ in VIEWS:
            one, two = 1e9, 1e9
            for _ in range(self.options.rounds):
                one = min(one, self.ours(view, kind, threads=1)[0])
                two = min(two, self.ours(view, kind, threads=2)[0])
            print(f"{view}: two threads are {one / two:.2f} times as fast as one ({one:.2f} s, {two:.2f} s)", flush=True)

    def memory(self):
        for view, kind, _, _ in VIEWS:
            for times in (1, 8):
                most = self.ours(view, kind, source=[self.inputs[kind]] * times, threads=2)[2]
                size = self.inputs[kind].stat().st_size * times / 1e6
                print(f"{view}: {most:.0f} MB at most for {size:.0f} MB of resources, two threads", flush=True)

    def from_disk(self):
        if not shutil.which("zstd"):
            return print("no `zstd` program, so nothing was measured from disk")
        view, kind, _, _ = VIEWS[0]
        memory = Path(tempfile.mkdtemp(dir="/dev/shm"))
        try:
            disk = self.folder / "packed.zst"
            subprocess.run(["zstd", "-q", "-3", self.inputs[kind], "-o", disk], check=True)
            shutil.copy(disk, memory / "packed.zst")
            shutil.copy(self.inputs[kind], memory / "plain")
            best = {"disk": 1e9, "memory": 1e9, "plain": 1e9}
            for _ in range(self.options.rounds):
                forgotten = forget(disk)
                for name, path in (("disk", disk), ("memory", memory / "packed.zst"), ("plain", memory / "plain")):
                    best[name] = min(best[name], self.ours(view, kind, source=[path], one_core=True)[0])
            how = "read anew each time" if forgotten else "from the system's cache, which could not be emptied"
            print(f"{view}, zstd, one core: {best['memory'] / best['disk']:.2f} of the speed from memory ({how}); "
                  f"{best['plain'] / best['disk']:.2f} of that of plain NDJSON from memory")
        finally:
            shutil.rmtree(memory)


def forget(path):
    """Has the system read a file anew; false where it does not let us."""
    try:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return True
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
