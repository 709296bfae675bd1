"""A class with attackers in it, graded once per file as an instructor grades: `gradschool grade`.

Every attacker hands in honest work with one thing replaced. Honest students come first, in the middle and
last, so that what an attacker leaves behind has somebody to meet.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gradschool.grading.fill import fill_notebook, reference_functions, reference_kernels
from gradschool.grading.records import ExerciseRecord, SubmissionRecord
from gradschool.pack import Pack
from gradschool.release import build_assignment
from gradschool.sandbox import capabilities

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
STAGE = "00_tiny"
KERNEL = "scale_shift.wgsl"
HONEST = ("aaron", "mira", "zoe")
FULL = {"double": 3.0, "halve": 2.0, KERNEL: 3.0}
TRACE = "by_mallory"
"""Part of the name of every file, key and socket that an attacker tries to leave."""

MISCONCEPTIONS = """
[[misconception]]
id = "doubles-twice"
exercise = "double"
help = "You double twice."
old = "* FACTOR"
new = "* FACTOR * FACTOR"

[[misconception]]
id = "no-shift"
exercise = "scale_shift.wgsl"
help = "The shift is missing."
old = " + params.beta"
new = ""
"""


@dataclass
class Attack:
    """One attacker.

    Attributes:
        double: The function `double`, whole, or a body for it.
        kernel: WGSL in place of the reference.
        cells: Code cells before and after the honest ones.
        spoil: Changes the folder once it is written.
        loses: What the attacker has not earned: exercises, with what is left of them.
        says: Words that the record must hold, in messages or problems.
    """

    double: str | None = None
    kernel: str | None = None
    first: tuple[Any, ...] = ()
    last: tuple[Any, ...] = ()
    spoil: Callable[[Path], None] | None = None
    loses: Mapping[str, float] = field(default_factory=dict)
    says: tuple[str, ...] = ()

    @property
    def points(self) -> dict[str, float]:
        """What the honest part of the work earns, by exercise."""
        return {**FULL, **self.loses}


@dataclass
class Graded:
    """A class after it was graded.

    Attributes:
        root: Holds `submissions`, `results`, `pack` and `home`.
        attacks: By student.
        records: By student.
        output: What the command printed.
    """

    root: Path
    attacks: dict[str, Attack]
    records: dict[str, SubmissionRecord]
    output: str

    def expect(self, student: str) -> SubmissionRecord:
        """Fail unless the attacker got what the honest part earns, and is told in a clear line what happened."""
        record, attack = self.records[student], self.attacks[student]
        told = "\n".join([*record.problems, *(item.message for item in record.exercises)])
        assert record.status != "not-graded", told
        assert {item.id: item.score for item in record.exercises} == attack.points, told
        for words in attack.says:
            assert words in told, told
        for item in record.exercises:
            assert item.score == item.max_score or item.message, f"{item.id}: nothing is said"
        return record

    def exercise(self, student: str, name: str = "double") -> ExerciseRecord:
        """Return one exercise of one student."""
        return next(item for item in self.records[student].exercises if item.id == name)

    def pages(self, *suffixes: str) -> str:
        """Everything that grading wrote in files of these kinds, in one text."""
        files = (path for path in sorted((self.root / "results").rglob("*")) if path.suffix in suffixes)
        return "\n".join(path.read_text(encoding="utf-8") for path in files)


class ClassRoom:
    """Writes submissions and has them graded."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.submissions, self.results = root / "submissions", root / "results"
        self.home = root / "home"
        self.home.mkdir()
        shutil.copytree(TINY_PACK, root / "pack", ignore=shutil.ignore_patterns("__pycache__"))
        (root / "pack/graders" / STAGE / "misconceptions.toml").write_text(MISCONCEPTIONS)
        (root / "pack/assignments").mkdir()
        self.stage = Pack(root / "pack").stages[0]
        self._released = build_assignment(self.stage)
        self._functions, self._kernels = reference_functions(self.stage), reference_kernels(self.stage)

    def hand_in(self, student: str, attack: Attack) -> Path:
        """Write one submission."""
        folder = self.submissions / student / STAGE
        folder.mkdir(parents=True)
        answers = dict(self._functions)
        if attack.double is not None:
            answers["double"] = self._fill(_function(attack.double), student)
        notebook = fill_notebook(msgspec.json.decode(self._released[f"{STAGE}.ipynb"]), answers)
        notebook["cells"] = [
            *(self._cell(cell, student) for cell in attack.first),
            *notebook["cells"],
            *(self._cell(cell, student) for cell in attack.last),
        ]
        (folder / f"{STAGE}.ipynb").write_text(json.dumps(notebook))
        kernel = self._kernels[KERNEL] if attack.kernel is None else attack.kernel
        (folder / KERNEL).write_text(kernel)
        if attack.spoil is not None:
            attack.spoil(folder)
        return folder

    def _cell(self, cell: Any, student: str) -> Any:
        """A code cell from its source, or any JSON as it is."""
        if not isinstance(cell, str):
            return cell
        source = self._fill(cell, student)
        return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}

    def _fill(self, text: str, student: str) -> str:
        """Tell the attackers what a knowing insider could tell them."""
        places = {
            "HIDDEN": self.root / "pack/graders" / STAGE / "test_tiny.py",
            "LESSON": self.root / "pack/solutions" / STAGE / "lesson.py",
            "VICTIM": self.submissions / "aaron" / STAGE / f"{STAGE}.ipynb",
            "RECORD": self.results / "aaron" / f"{STAGE}.json",
            "OWN": self.results / student / f"{STAGE}.json",
            "GRADES": self.results / "grades.csv",
            "GRADEBOOK": self.root / "gradebook.db",
            "HOME": self.home,
        }
        for name, path in places.items():
            text = text.replace(f"<{name}>", str(path))
        return text.replace("<TRACE>", TRACE)

    def grade(self, attacks: dict[str, Attack], *arguments: str, cwd: Path | None = None) -> Graded:
        """Write the class, grade it with the real command, and look for what was left behind."""
        everyone = {**attacks, **dict.fromkeys(HONEST, Attack())}
        for student, attack in everyone.items():
            self.hand_in(student, attack)
        (self.root / "gradebook.db").write_bytes(b"grades")
        before = self._fingerprint()
        # As the installed script does, and unlike `python -m`, this keeps the working folder off the path.
        command = [sys.executable, "-P", "-m", "gradschool", "grade", str(self.submissions)]
        command += ["--pack", str(self.root / "pack"), "--out", str(self.results), "--seed", "11", "-j", "1"]
        command += ["--device", "interpreter", "--call-timeout", "3", *arguments]
        with adopted_orphans() as orphans:
            done = subprocess.run(
                command,
                cwd=cwd or self.root,
                env={**os.environ, "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=300,
                check=False,
            )
            assert orphans() == set(), "processes were left behind"
        assert done.returncode == 0, done.stdout + done.stderr
        assert self._fingerprint() == before, "a submission, the course or a gradebook was changed"
        assert_no_trace(self.root, self.home)
        return Graded(self.root, everyone, self._read(), done.stdout + done.stderr)

    def _read(self) -> dict[str, SubmissionRecord]:
        paths = self.results.glob(f"*/{STAGE}.json")
        return {
            path.parent.name: msgspec.json.decode(path.read_bytes(), type=SubmissionRecord) for path in paths
        }

    def _fingerprint(self) -> dict[str, tuple[int, ...]]:
        """What nobody may change: every file with its kind, size and moment of change."""
        found = {}
        for name in ("submissions", "pack", "home", "gradebook.db"):
            for path in [self.root / name, *(self.root / name).rglob("*")]:
                status = path.lstat()
                if not stat.S_ISDIR(status.st_mode) and "__pycache__" not in path.parts:
                    found[str(path)] = status.st_mode, status.st_ino, status.st_size, status.st_ctime_ns
        return found


def _function(text: str) -> str:
    """A whole cell as it is; anything else is the body of `double`."""
    if "def double" in text:
        return text
    lines = "\n".join(f"    {line}" for line in text.strip("\n").splitlines())
    return f"def double(x):\n{lines}\n"


@contextlib.contextmanager
def adopted_orphans() -> Iterator[Callable[[], set[int]]]:
    """Become the parent of whatever outlives its own; gives a function that lists it."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    before = _children()
    if libc is not None:
        libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    try:
        yield lambda: _children() - before
    finally:
        if libc is not None:
            libc.prctl(36, 0, 0, 0, 0)


def _children() -> set[int]:
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        found |= {int(word) for word in path.read_text().split()}
    return found


def assert_no_trace(*folders: Path) -> None:
    """Fail if anything an attacker tried to leave is there: files, shared memory, sockets, queues."""
    places = [*folders, Path("/tmp"), Path("/dev/shm"), Path("/var/tmp"), Path.home(), Path.cwd()]
    found = [path for folder in places if folder.is_dir() for path in folder.glob(f"*{TRACE}*")]
    found += [path for folder in folders for path in folder.rglob(f"*{TRACE}*")]
    site = Path(msgspec.__file__).parents[1]
    found += [*site.glob(f"*{TRACE}*"), *(site / "numpy").glob(f"*{TRACE}*")]
    assert found == []
    for table in ("/proc/net/unix", "/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem"):
        if Path(table).exists():
            assert TRACE not in Path(table).read_text(errors="replace")


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> ClassRoom:
    """An empty class, one per file."""
    if capabilities().level != "full":
        pytest.skip(f"this platform cannot isolate: it lacks {', '.join(capabilities().missing)}")
    return ClassRoom(tmp_path_factory.mktemp("class"))


@pytest.fixture(scope="module")
def grade_attacks(classroom: ClassRoom) -> Callable[..., Graded]:
    """Grade a table of attackers, each given by what it has other than honest work."""

    def grade(table: Mapping[str, Mapping[str, Any]], *arguments: str, **options: Any) -> Graded:
        attacks = {student: Attack(**entry) for student, entry in table.items()}
        return classroom.grade(attacks, *arguments, **options)

    return grade
