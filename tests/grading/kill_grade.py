"""Kill `gradschool grade` at random moments, again and again, and look at what is left each time.

Run by `test_durable.py` as `kill_grade.py PACK SUBMISSIONS OUT SEED N_KILLS`. Whatever a killed grader
leaves running becomes a child of this process, so that no survivor can hide. Prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import sys
import time
from itertools import count
from pathlib import Path

from gradschool.cli.main import main as gradschool
from gradschool.grading import coordinator, progress  # noqa: F401  imported once, before forks
from gradschool.grading.results import Results

PR_SET_CHILD_SUBREAPER = 36
STAGE = "00_tiny"
GONE_S = 20.0
"""How long a dead grader's processes may take to follow; usually a few milliseconds."""


class Class:
    """The results of a class under fire.

    Args:
        pack: Root of the course.
        submissions: The class's work.
        out: Folder of results.
    """

    def __init__(self, pack: str, submissions: str, out: str) -> None:
        self.command = ["gradschool", "grade", submissions, "--out", out, "--pack", pack]
        self.command += ["--device", "interpreter", "--seed", "3", "--jobs", "1", "--json"]
        self.out = Path(out)
        self.students = sorted(path.name for path in Path(submissions).iterdir())
        self.finished: dict[str, tuple[int, bytes]] = {}
        self.faults: list[str] = []

    def start(self, die_at: int = 0) -> int:
        """Start `gradschool grade` and return its process id.

        Args:
            die_at: Which of its calls of fsync kills it; 0 for none.
        """
        pid = os.fork()
        if pid:
            return pid
        status = 70
        try:
            if die_at:
                die_at_sync(die_at)
            sys.argv = self.command
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            gradschool()
            status = 0
        except SystemExit as done:
            status = int(done.code or 0)
        finally:
            os._exit(status)

    def next_record(self) -> Path:
        """Where the next record is going to be written."""
        name = next(name for name in self.students if name not in self.finished)
        return self.out / name / f"{STAGE}.json"

    def look(self) -> None:
        """Hold every record against the rules."""
        folder = Results(self.out)
        seen = {}
        for path in self.out.glob(f"*/{STAGE}.json"):
            name = path.parent.name
            record = folder.read(name, STAGE)
            if record is None or (record.score, record.max_score) != (8.0, 8.0):
                self.faults.append(f"{name}: half a record")
            if not all(path.with_suffix(suffix).exists() for suffix in (".html", ".md")):
                self.faults.append(f"{name}: a record without its pages")
            seen[name] = path.stat().st_mtime_ns, path.read_bytes()
        for name, before in self.finished.items():
            if seen.get(name) != before:
                self.faults.append(f"{name}: {'graded twice' if name in seen else 'lost'}")
        self.finished = seen


def die_at_sync(number: int) -> None:
    """Have this process killed in the middle of a write: a watcher may be too slow to see one."""
    sync, calls = os.fsync, count(1)

    def fsync(handle: int) -> None:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(handle)

    os.fsync = fsync


def moments(rng: random.Random, n: int) -> list[tuple[str, float]]:
    """When to kill: while it starts (a share of that time), at a write (which one), or between two (seconds)."""
    kinds = rng.choices(("start", "write", "work"), (40, 40, 20), k=n)
    # A record, its pages and their folders are about nine calls of fsync.
    spans = {"start": 1.0, "write": 9, "work": 0.1}
    return [(kind, spans[kind] * rng.random()) for kind in kinds]


def wait_for(pid: int, record: Path | None) -> None:
    """Return when a record is there, or the process is done."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (record is not None and record.exists()) or is_done(pid):
            return
        time.sleep(0.0002)


def is_done(pid: int) -> bool:
    """Whether the process has ended by itself."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def children() -> list[int]:
    """Processes that are this one's, by birth or because their parents died."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(word) for path in tasks for word in path.read_text().split()]


def bury() -> int:
    """Wait for every process of the tree to end; return how many did not."""
    deadline = time.monotonic() + GONE_S
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.001)
        except ChildProcessError:
            return 0
    left = children()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return len(left)


def main() -> None:
    """Kill, look, resume; at the end let one run finish."""
    pack, submissions, out, seed, n_kills = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    rng = random.Random(int(seed))
    tried = Class(pack, submissions, out)
    survivors = n_in_write = n_idle = 0
    startup_s = float("inf")
    for kind, moment in [("work", 0.0), *moments(rng, int(n_kills) - 1)]:
        started = time.monotonic()
        pid = tried.start(1 + int(moment) if kind == "write" else 0)
        if kind == "write":
            wait_for(pid, None)
        else:
            if kind == "work":
                wait_for(pid, tried.next_record())
                # How long a start takes here, so that early kills are spread over all of it.
                startup_s = min(startup_s, time.monotonic() - started)
            time.sleep(moment * startup_s if kind == "start" else moment)
            n_idle += is_done(pid)
        os.kill(pid, signal.SIGKILL)
        survivors += bury()
        n_in_write += any(tried.out.glob("*/.*.tmp"))
        tried.look()
    before = len(tried.finished)
    pid = tried.start()
    status = os.waitpid(pid, 0)[1]
    survivors += bury()
    tried.look()
    print(
        json.dumps(
            {
                "faults": tried.faults,
                "survivors": survivors,
                "kills_in_a_write": n_in_write,
                "kills_too_late": n_idle,
                "finished_under_fire": before,
                "finished": len(tried.finished),
                "left_behind": len([*tried.out.glob("*/.*.tmp"), *tried.out.glob(".*.tmp")]),
                "last_exit": os.waitstatus_to_exitcode(status),
            }
        )
    )


if __name__ == "__main__":
    main()
