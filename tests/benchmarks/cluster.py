"""A class on a local Dask cluster: `python tests/benchmarks/cluster.py [N] [WORKERS]`.

N small submissions (1,000 by default, of the stage that this project's tests use) are graded by
`gradschool grade --cluster` on WORKERS worker processes (2 by default) of a scheduler on this machine. Memory,
files and rate are looked at from outside. Nothing is asserted.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from load import ROOT, slots_of, watch, write_class

from gradschool.pack import Pack

TINY_PACK = ROOT / "tests" / "release" / "tiny_pack"


def main() -> None:
    """Make the class, start the cluster, grade, print what was seen."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    n_workers = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(TINY_PACK, folder / "pack", ignore=shutil.ignore_patterns("__pycache__"))
        stage = Pack(folder / "pack").stages[0]
        write_class(stage, folder / "submissions", n)
        file = folder / "scheduler.json"
        scheduler = start(file, "scheduler", "--port", "0")
        while not file.exists():
            time.sleep(0.1)
        workers = [start(file, "worker", "--nthreads", "1", "--no-nanny") for _ in range(n_workers)]
        address = json.loads(file.read_text())["address"]
        command = [sys.executable, "-m", "gradschool", "grade", str(folder / "submissions"), "--json"]
        command += ["--out", str(folder / "results"), "--pack", str(folder / "pack"), "--seed", "1"]
        command += ["--device", "interpreter", "--cluster", address]
        print(f"{n} submissions of {stage.id}, {n_workers} workers of one thread on {address}")
        grader = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        groups = {
            "coordinator": lambda: [grader.pid],
            "scheduler": lambda: [scheduler.pid],
            "workers": lambda: [worker.pid for worker in workers],
            "slots": lambda: [slot for worker in workers for slot in slots_of(worker.pid)()],
        }
        try:
            watch(grader, folder / "results", groups)
        finally:
            for process in (grader, *workers, scheduler):
                process.kill()
                process.wait()
        assert grader.stdout is not None
        print(grader.stdout.read().strip())
        print(f"exit {grader.returncode}")


def start(file: Path, kind: str, *more: str) -> subprocess.Popen[bytes]:
    """Start a part of the cluster."""
    command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(file), "--host", "127.0.0.1"]
    return subprocess.Popen([*command, "--no-dashboard", *more], cwd=file.parent, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
