"""What a benchmark suite costs beside its tasks, and what a second process gains.

    python benchmarks/speed/suite.py --out benchmarks/speed/suite.jsonl

Runs the suite that ships, each time from nothing in a process of its own, with one task at a time and with two, one thread
each. A row is one JSON line: jobs, seconds of the command from its start to its end, of the suite, and in tasks; the share
of the suite that is in no task (with one at a time); and the peak memory of a task. The last row is the ratio of the two.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import write


def run(n_jobs, seeds):
    """Seconds of the command, and of what its tasks say that they took."""
    with tempfile.TemporaryDirectory() as folder:
        script = (
            "import dataclasses, sys, time\n"
            "from skasd.benchmark import read_suite, run_suite\n"
            f"suite = dataclasses.replace(read_suite('quick'), seeds={tuple(seeds)})\n"
            "start = time.perf_counter()\n"
            f"run_suite(suite, sys.argv[1], n_jobs={n_jobs})\n"
            "print(time.perf_counter() - start)\n"
        )
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", script, folder], check=True, capture_output=True, text=True)
        command = time.perf_counter() - start
        rows = [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text().splitlines()]
    in_tasks = sum(row["feature_seconds"] + row["fit_seconds"] + row["score_seconds"] for row in rows)
    suite = float(done.stdout.splitlines()[-1])
    peak = max(row["peak_bytes"] for row in rows)
    shared = {"jobs": n_jobs, "tasks": len(rows), "command_seconds": command, "suite_seconds": suite}
    return {**shared, "task_seconds": in_tasks, "peak_bytes_of_a_task": peak}


def measured(seeds):
    one = run(1, seeds)
    yield {**one, "overhead": 1 - one["task_seconds"] / one["suite_seconds"]}
    two = run(2, seeds)
    yield two
    yield {"ratio": "two jobs to one", "seconds": two["suite_seconds"] / one["suite_seconds"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    write(measured(arguments.seeds), arguments.out, "scikit-learn", "skorch", "joblib")


if __name__ == "__main__":
    main()
