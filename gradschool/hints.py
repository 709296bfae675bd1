"""Hints: three levels per exercise, from a question to nearly the answer.

They are text beside the checks (`hints.toml`), released with the assignment. Which ones a learner
opened is kept in `hints_used.json` beside the notebook and handed in with it: an instructor may let
them cost something. The file is the learner's own, so this is a matter of honour, not of proof.
"""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gradschool.errors import PackError, UsageError
from gradschool.report.files import write_atomic

HINTS = "hints.toml"
USED = "hints_used.json"
N_LEVELS = 3
_MAX_BYTES = 64 * 1024


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    exercise: str
    levels: list[str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    hint: list[_Entry]


@dataclass(frozen=True)
class Hint:
    """One hint as it is shown.

    Attributes:
        level: 1 is a question, `n_levels` nearly the answer.
    """

    exercise: str
    level: int
    n_levels: int
    text: str

    @property
    def next_step(self) -> str:
        """What to do when it did not help."""
        if self.level < self.n_levels:
            return "Still stuck? Ask again for the next one."
        return "This was the last one. Read the docstring beside it once more, line by line."


def load_hints(folder: Path) -> dict[str, list[str]]:
    """Return the hints of a stage by exercise; none where the folder holds no hints.

    Raises:
        PackError: The file is not of the agreed form.
    """
    path = folder / HINTS
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        entries = msgspec.convert(tomllib.loads(text), _File).hint
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PackError(f"{path} cannot be read: {error}.") from None
    hints = {entry.exercise: entry.levels for entry in entries}
    if len(hints) != len(entries) or any(len(levels) != N_LEVELS for levels in hints.values()):
        raise PackError(f"{path}: every exercise has one entry, of {N_LEVELS} levels.")
    return hints


def open_hint(folder: Path, exercise: str, level: int | None = None) -> Hint:
    """Return a hint of `exercise` and record that it was opened.

    Args:
        folder: The released stage.
        exercise: A function's name or a kernel's file name.
        level: Which one; default the first that was not opened yet, at the end the last.

    Raises:
        UsageError: There is no such hint.
    """
    hints = load_hints(folder)
    if exercise not in hints:
        raise UsageError(
            f"There is no hint for {exercise!r} in {folder.name}.",
            help=f"Hints here: {', '.join(hints) or 'none'}.",
        )
    used = read_used(folder)
    before = used.get(exercise, 0)
    chosen = min(before + 1, N_LEVELS) if level is None else level
    if not 1 <= chosen <= N_LEVELS:
        raise UsageError(f"There is no hint of level {level}.", help=f"Levels go from 1 to {N_LEVELS}.")
    if chosen > before:
        _record(folder, {**used, exercise: chosen})
    return Hint(exercise, chosen, N_LEVELS, hints[exercise][chosen - 1])


def read_used(folder: Path) -> dict[str, int]:
    """Return the highest level opened per exercise; a file that is no record counts as none."""
    path = folder / USED
    try:
        status = path.lstat()
        # A named pipe has no size and never ends.
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            return {}
        return parse_used(path.read_bytes())
    except OSError:
        return {}


def parse_used(data: bytes) -> dict[str, int]:
    """Read a record's bytes; whatever is not an exercise with a level is left out."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    levels = {name: level for name, level in found.items() if type(level) is int and level > 0}
    return {name: min(level, N_LEVELS) for name, level in levels.items()}


def read_costs(text: str) -> tuple[float, ...]:
    """Read `0,0.1,0.25`: the share lost once hint 1, 2, 3 was opened.

    Raises:
        UsageError: It is not a list of shares that never fall.
    """
    try:
        costs = tuple(float(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        costs = (-1.0,)
    if len(costs) > N_LEVELS or list(costs) != sorted(costs) or not all(0 <= cost <= 1 for cost in costs):
        raise UsageError(
            f"{text!r} says not what hints cost.",
            help="Give up to three shares from 0 to 1 that do not fall, such as 0,0.1,0.25.",
        )
    return costs


def cost_of(level: int, costs: Sequence[float]) -> float:
    """Return the share of an exercise's points that opening hints up to `level` costs."""
    if level < 1 or not costs:
        return 0.0
    return float(costs[min(level, len(costs)) - 1])


def _record(folder: Path, used: dict[str, int]) -> None:
    try:
        write_atomic(folder / USED, json.dumps(dict(sorted(used.items())), indent=1).encode() + b"\n")
    except OSError as error:
        raise UsageError(
            f"That a hint was opened cannot be recorded: {folder / USED}: {error.strerror}.",
            help="Make the folder writable; hints are shown only when they are recorded.",
        ) from None
