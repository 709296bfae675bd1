"""Memory, files, processes and rate while a class is graded: `python tests/benchmarks/load.py [N] [STAGE]`.

N submissions (500 by default) of one stage are graded in one go by `gradschool grade` with two slots: right
answers, wrong ones, empty ones, a process that ends itself and a kernel that does not compile, in turn. While
that runs, its processes are looked at from outside. Nothing is asserted: what must not grow is a column to read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.pack import Pack, Stage
from gradschool.release import build_assignment

ROOT = Path(__file__).parents[2]
LOOK_EVERY_S = 20.0
N_SLOTS = 2


def main() -> None:
    """Make the class, grade it, print what was seen."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    stage = Pack(ROOT).stage(sys.argv[2] if len(sys.argv) > 2 else "00_first_kernel")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_class(stage, folder / "submissions", n)
        command = [sys.executable, "-m", "gradschool", "grade", str(folder / "submissions"), "--json"]
        command += ["--out", str(folder / "results"), "--jobs", str(N_SLOTS), "--seed", "1"]
        print(f"{n} submissions of {stage.id}, {N_SLOTS} slots, {os.cpu_count()} cores")
        grader = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        watch(
            grader, folder / "results", {"coordinator": lambda: [grader.pid], "slots": slots_of(grader.pid)}
        )
        assert grader.stdout is not None
        print(grader.stdout.read().strip())
        print(f"exit {grader.returncode}")


def write_class(stage: Stage, folder: Path, n: int) -> None:
    """Write `n` submissions of five kinds, in turn."""
    released = build_assignment(stage)
    functions, kernels = reference_functions(stage), reference_kernels(stage)
    name = next(iter(functions))
    variants = {
        "right": (functions, kernels),
        "empty": ({}, {file: released[file].decode() for file in kernels}),
        "wrong": ({**functions, name: f"def {name}(*args, **kwargs):\n    return 0.0"}, kernels),
        "gone": (
            {**functions, name: f"def {name}(*args, **kwargs):\n    import os\n    os._exit(3)"},
            kernels,
        ),
        "broken": (functions, {file: "fn main( {" for file in kernels}),
    }
    for index in range(n):
        written, texts = variants[list(variants)[index % len(variants)]]
        notebook = fill_notebook(json.loads(released[f"{stage.id}.ipynb"]), written)
        place = folder / f"student{index:05}" / stage.id
        place.mkdir(parents=True)
        (place / f"{stage.id}.ipynb").write_text(json.dumps(notebook))
        for file, text in texts.items():
            (place / file).write_text(text)


def watch(grader: subprocess.Popen[str], results: Path, groups: dict[str, Callable[[], list[int]]]) -> None:
    """Print one line now and then until `grader` is done: records, rate, and each group's memory and files."""
    heads = "".join(f"{name + ' MB':>18}{'files':>7}" for name in groups)
    print(f"{'s':>6}{'done':>7}{'per min':>9}{heads}{'processes':>11}", flush=True)
    started, last_time, last_done = time.monotonic(), time.monotonic(), 0
    while grader.poll() is None:
        time.sleep(LOOK_EVERY_S)
        now, done = time.monotonic(), n_records(results)
        line = f"{now - started:6.0f}{done:7d}{60 * (done - last_done) / (now - last_time):9.1f}"
        for pids in groups.values():
            found = pids()
            line += f"{sum(map(megabytes, found)):18.1f}{sum(map(n_files, found)):7d}"
        print(f"{line}{len([*tree(grader.pid)]):11d}", flush=True)
        last_time, last_done = now, done
    taken = time.monotonic() - started
    print(f"{n_records(results)} in {taken:.0f} s, {60 * n_records(results) / taken:.1f} per minute")


def n_records(results: Path) -> int:
    """Records that are there."""
    return sum(1 for _ in results.glob("*/*.json"))


def slots_of(pid: int) -> Callable[[], list[int]]:
    """The children of a process, whenever it is asked."""
    return lambda: list(children(pid))


def children(pid: int) -> Iterator[int]:
    """Processes that `pid` started."""
    try:
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            yield from map(int, path.read_text().split())
    except OSError:
        return


def tree(pid: int) -> Iterator[int]:
    """`pid` and every process below it."""
    yield pid
    for child in children(pid):
        yield from tree(child)


def megabytes(pid: int) -> float:
    """Memory of a process that is in use and its own."""
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
    except OSError:
        return 0.0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 2**20


def n_files(pid: int) -> int:
    """Open descriptors of a process."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


if __name__ == "__main__":
    main()
