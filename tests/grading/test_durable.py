"""Whatever ends a run, and whenever: what was finished is there, whole, once, and nothing keeps running."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import msgspec
import pytest

from gradschool.grading.options import GradeOptions
from gradschool.grading.records import DeviceRecord, SandboxRecord, SubmissionRecord
from gradschool.grading.results import LOCK, Results
from gradschool.grading.slot_client import SlotClient, SlotDied
from gradschool.grading.slot_messages import SlotTask
from gradschool.pack import Pack
from gradschool.report import files

HERE = Path(__file__).parent
N_KILLS = 100
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are followed through Linux's /proc")
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL and no limit on files")


def grade(pack: Pack, submissions: Path, *more: str, prelude: str = "") -> subprocess.CompletedProcess[str]:
    """Run `gradschool grade`, after some lines of Python in the same process."""
    code = f"{prelude}\nfrom gradschool.cli.main import main\nmain()"
    command = [sys.executable, "-c", code, "grade", str(submissions), "--pack", str(pack.root)]
    command += ["--out", str(submissions.parent / "results"), "--device", "interpreter"]
    command += ["--seed", "3", "--jobs", "1", "--json", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def copies(submit, n: int) -> Path:
    """A class of `n` students who handed in the same."""
    first = submit("s000")
    for index in range(1, n):
        shutil.copytree(first.parent, first.parents[1] / f"s{index:03}")
    return first.parents[1]


def words(text: str) -> str:
    """Text as it was before a terminal's width broke its lines."""
    return " ".join(text.split())


@linux
def test_a_hundred_kills_lose_nothing_repeat_nothing_and_leave_no_process(
    submit, pack: Pack, tmp_path: Path
) -> None:
    submissions = copies(submit, 200)
    command = [sys.executable, str(HERE / "kill_grade.py"), str(pack.root), str(submissions)]
    done = subprocess.run(
        [*command, str(tmp_path / "results"), "5", str(N_KILLS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["survivors"] == 0
    assert found["kills_in_a_write"] > 0, "no kill has hit a write"
    assert found["finished_under_fire"] < found["finished"] == 200
    assert (found["last_exit"], found["left_behind"]) == (0, 0)


def numbered(number: int) -> SubmissionRecord:
    """A record that says which one it is, and is too long for one block of a disk."""
    return SubmissionRecord(
        student="ada",
        stage="00_tiny",
        score=0.0,
        max_score=8.0,
        status="graded",
        exercises=[],
        device=DeviceRecord(name="none", kind="interpreter"),
        sandbox=SandboxRecord(level="none"),
        seed=number,
        grader_version="1",
        seconds=0.0,
        problems=[f"{number} " * 5_000],
    )


def write_for_ever(out: Path, first: int, told: int) -> None:
    """Write records over each other; after each, tell its number through the descriptor `told`."""
    with Results(out) as results:
        for number in count(first):
            results.keep(numbered(number))
            os.write(told, f"{number}\n".encode())


@posix
def test_a_writer_killed_a_hundred_times_leaves_whole_records_and_all_it_has_told(tmp_path: Path) -> None:
    rng = random.Random(7)
    results = Results(tmp_path)
    told = 0
    for _ in range(N_KILLS):
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                write_for_ever(tmp_path, told + 1, write_end)
            os._exit(1)
        os.close(write_end)
        with open(read_end) as stream:
            # One record is there; the kill hits one of the next.
            told = int(stream.readline())
            time.sleep(0.03 * rng.random())
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            told = max([told, *map(int, stream)])
        kept = results.read("ada", "00_tiny")
        assert kept is not None, "half a record"
        assert kept == numbered(kept.seed)
        assert kept.seed in (told, told + 1), "a finished record is lost"
        told = kept.seed
    assert told >= N_KILLS


@posix
def test_a_name_is_given_only_after_the_bytes_are_on_the_disk(tmp_path: Path, monkeypatch) -> None:
    steps: list[str] = []

    def note(name: str, real):
        def noted(*args, **kwargs):
            steps.append(name if name != "sync" else f"sync {kind(args[0])}")
            return real(*args, **kwargs)

        return noted

    def kind(handle: int) -> str:
        return "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"

    monkeypatch.setattr(files.os, "fsync", note("sync", os.fsync))
    monkeypatch.setattr(files.os, "replace", note("name", os.replace))
    files.write_atomic(tmp_path / "student" / "stage.json", b"{}")
    # The new folder's own name first: a file in a folder that is gone is gone.
    assert steps == ["sync folder", "sync file", "name", "sync folder"]


@posix
def test_a_file_that_cannot_grow_is_said_and_finished_work_is_kept(submit, pack: Pack) -> None:
    submissions = copies(submit, 3)
    results = submissions.parent / "results"
    assert grade(pack, submissions, "--student", "s000").returncode == 0
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))"
    full = grade(pack, submissions, prelude=limit)
    assert full.returncode == 2
    assert "cannot be written: File too large" in words(full.stderr)
    assert "finished work is kept" in words(full.stderr)
    assert "Traceback" not in full.stderr
    assert [path.parent.name for path in results.glob("*/*.json")] == ["s000"]
    assert list(results.glob("*/.*.tmp")) == []
    again = json.loads(grade(pack, submissions).stdout)
    assert (again["n_kept"], again["n_graded"]) == (1, 2)


SMALL_DISK = """
mount -t tmpfs -o size=68k small "$1" || exit 77
shift
"$@" 2> "$0.full"; echo "$?" > "$0.exit"
mount -o remount,size=4m small
"$@"
"""


@linux
def test_a_disk_that_is_full_is_said_and_a_larger_one_goes_on(submit, pack: Pack, tmp_path: Path) -> None:
    submissions = copies(submit, 6)
    (tmp_path / "results").mkdir()
    unshare = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    command = [sys.executable, "-m", "gradschool", "grade", str(submissions), "--pack", str(pack.root)]
    command += ["--out", str(tmp_path / "results"), "--device", "interpreter", "--seed", "3", "-j", "1"]
    shell = ["sh", "-c", SMALL_DISK, str(tmp_path / "log"), str(tmp_path / "results"), *command, "--json"]
    done = subprocess.run([*unshare, *shell], capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system can be mounted here; the limit on a file's size is tested above")
    assert (tmp_path / "log.exit").read_text().strip() == "2"
    said = words((tmp_path / "log.full").read_text())
    assert "No space left on device" in said
    assert "Free some room and run the same command again" in said
    assert "Traceback" not in said
    again = json.loads(done.stdout)
    assert again["failures"] == []
    assert again["n_kept"] >= 1
    assert again["n_kept"] + again["n_graded"] == 6


@posix
def test_two_runs_do_not_write_to_one_folder(submit, pack: Pack) -> None:
    submissions = copies(submit, 1)
    with Results(submissions.parent / "results"):
        second = grade(pack, submissions)
    assert second.returncode == 2
    assert "is being written by another" in words(second.stderr)
    assert grade(pack, submissions).returncode == 0


@posix
def test_what_a_killed_write_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    ours = [tmp_path / ".grades.csv.0123456789ab.tmp", tmp_path / "ada" / ".00_tiny.json.ba9876543210.tmp"]
    others = [tmp_path / "ada" / ".notes.tmp", tmp_path / "ada" / "00_tiny.json"]
    for path in (*ours, *others):
        path.write_text("half")
    with Results(tmp_path):
        pass
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)
    assert (tmp_path / LOCK).exists()


def test_pages_that_a_killed_run_wrote_without_their_record_are_written_again(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        results.keep(numbered(1))
        page = tmp_path / "ada" / "00_tiny.md"
        before = page.read_bytes()
        page.write_text("pages of a record that never came")
        os.utime(page, ns=(time.time_ns(), time.time_ns() + 1))
        results.mend_pages(numbered(1))
        assert page.read_bytes() == before
        page.unlink()
        results.mend_pages(numbered(1))
        assert page.read_bytes() == before


ENDLESS = "def double(x):\n    while True:\n        pass"


@linux
def test_a_slot_whose_coordinator_is_gone_ends_in_the_middle_of_a_call(submit, pack: Pack) -> None:
    folder = submit("ada", {"double": ENDLESS})
    client = SlotClient(pack.root, GradeOptions(device="interpreter", call_timeout_s=600.0))
    outcome: list[str] = []

    def work() -> None:
        with contextlib.suppress(SlotDied):
            client.grade(SlotTask("ada", "00_tiny", str(folder)))
            outcome.append("answered")

    thread = threading.Thread(target=work)
    thread.start()
    slot = client._process.pid
    wait_until(lambda: len(tree(slot)) >= 3)  # itself, its warm parent, and the learner's process
    family = tree(slot)
    client._close_input()
    thread.join(60)
    assert not thread.is_alive()
    assert outcome == []
    assert client._process.returncode == 1
    wait_until(lambda: not any(map(is_alive, family)))


def tree(pid: int) -> set[int]:
    """A process and all below it."""
    found, fresh = set[int](), {pid}
    while fresh:
        found |= fresh
        fresh = {child for parent in fresh for child in children(parent)} - found
    return found


def children(pid: int) -> set[int]:
    with contextlib.suppress(OSError):
        tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return {int(word) for path in tasks for word in path.read_text().split()}
    return set()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_the_same_seed_gives_the_same_record_but_for_times(submit, pack: Pack) -> None:
    submit("ada")
    submit("bela", {"double": "def double(x):\n    return x + 1"})
    submissions = submit("chidi", kernel="not a kernel").parents[1]
    results = Results(submissions.parent / "results")

    def graded(seed: int) -> list[dict]:
        assert grade(pack, submissions, "--force", "--seed", str(seed)).returncode == 0
        return [timeless(results.read(name, "00_tiny")) for name in ("ada", "bela", "chidi")]

    first = graded(11)
    seed = first[0]["seed"]
    assert seed == 11
    assert [record["score"] for record in first] == [8, 5, 5]
    other = graded(12)
    assert graded(seed) == first != other


def timeless(record) -> dict:
    assert record is not None
    assert record.seconds > 0
    assert record.graded_at
    assert record.device.kind == "interpreter"
    assert record.grader_version
    return msgspec.to_builtins(msgspec.structs.replace(record, seconds=0.0, graded_at=""))
