"""The catalogue of misconceptions of a stage: wrong answers that have a name.

Each is a small edit of the reference and a sentence of help. The catalogue proves the
graders (every entry must fail) and explains failures (a student's output that equals a
misconception's output gets its sentence).
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gradschool.errors import PackError
from gradschool.grading.fill import defined_functions, reference_functions, reference_kernels
from gradschool.pack import Stage

# A long catalogue may be split: misconceptions.toml, misconceptions_kernels.toml, ...
PATTERN = "misconceptions*.toml"
_KEYS = {"id", "exercise", "help", "old", "new", "edits", "code"}


@dataclass(frozen=True)
class Edit:
    """Text to find, exactly once, and the text that takes its place."""

    old: str
    new: str


@dataclass(frozen=True)
class Misconception:
    """One wrong answer.

    Attributes:
        id: Unique in the stage.
        exercise: The function or kernel file that is answered wrongly.
        help: One or two sentences to the learner: what they did, what to do.
        edits: Edits of the reference, applied in order; empty when `code` is given.
        code: The whole wrong answer, when an edit cannot say it.
        file: Name of the file it is from.
    """

    id: str
    stage: str
    exercise: str
    help: str
    edits: tuple[Edit, ...] = ()
    code: str | None = None
    file: str = "misconceptions.toml"

    @property
    def is_kernel(self) -> bool:
        """Whether the wrong answer is WGSL."""
        return self.exercise.endswith(".wgsl")

    def apply(self, source: str) -> str:
        """Return the wrong answer made from `source`, normally the reference.

        Raises:
            PackError: An edit's old text is not in `source` exactly once, or nothing changes.
        """
        if self.code is not None:
            wrong = self.code
        else:
            wrong = source
            for edit in self.edits:
                count = wrong.count(edit.old)
                if count != 1:
                    raise PackError(
                        f"{self._where}: the old text is in {self.exercise} {_times(count)}: {edit.old!r}.",
                        help="Quote enough of the reference that it is there exactly once.",
                    )
                wrong = wrong.replace(edit.old, edit.new)
        if wrong.strip() == source.strip():
            raise PackError(f"{self._where}: it changes nothing in {self.exercise}.")
        return wrong

    @property
    def _where(self) -> str:
        return f"graders/{self.stage}/{self.file}: {self.id}"


def load_misconceptions(stage: Stage) -> list[Misconception]:
    """Read the stage's catalogue and prove that every entry can be made from the reference.

    A stage without a catalogue has no misconceptions. The same files are read and proven once.

    Raises:
        PackError: The file is not TOML, an entry is malformed, an id comes twice, an exercise
            is unknown, an edit does not fit the reference, or the result is not Python.
    """
    files = (stage.lesson, *stage.kernels, *sorted(stage.graders.glob(PATTERN)))
    return list(_load(stage, tuple((path, path.stat().st_mtime_ns) for path in files)))


@lru_cache(maxsize=32)
def _load(stage: Stage, _when: tuple[tuple[Path, int], ...]) -> tuple[Misconception, ...]:
    references = {**reference_functions(stage), **reference_kernels(stage)}
    found: dict[str, Misconception] = {}
    for path in sorted(stage.graders.glob(PATTERN)):
        name = f"graders/{stage.id}/{path.name}"
        for entry in _read(path, name):
            item = _make(entry, stage.id, name)
            if item.exercise not in references:
                raise PackError(
                    f"{name}: {item.id}: there is no exercise {item.exercise!r} in {stage.id}.",
                    help=f"Exercises here: {', '.join(references)}.",
                )
            if item.id in found:
                raise PackError(f"{name}: the id {item.id!r} comes twice.")
            _require_sound(item, item.apply(references[item.exercise]), name)
            found[item.id] = item
    return tuple(found.values())


def _read(path: Path, name: str) -> list[dict[str, Any]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackError(f"{name} is not TOML: {error}.") from error
    stray = sorted(set(table) - {"misconception"})
    entries = table.get("misconception", [])
    if stray or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PackError(
            f"{name} holds {stray[0]!r}." if stray else f"{name} holds no [[misconception]] entries.",
            help="It is a list of [[misconception]] entries and nothing else.",
        )
    return entries


def _make(entry: dict[str, Any], stage_id: str, name: str) -> Misconception:
    label = entry.get("id") or "an entry without id"
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise PackError(
            f"{name}: {label}: unknown key {unknown[0]!r}.", help=f"Known: {', '.join(sorted(_KEYS))}."
        )
    for key in ("id", "exercise", "help"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise PackError(f"{name}: {label}: {key!r} must be a text that is not empty.")
    ways = [key for key in ("old", "edits", "code") if key in entry]
    if len(ways) != 1:
        raise PackError(
            f"{name}: {label}: it gives {' and '.join(ways) or 'no change'}.",
            help="Give either old and new, or edits = [{old, new}, ...], or code.",
        )
    code = entry.get("code")
    if "code" in entry and not isinstance(code, str):
        raise PackError(f"{name}: {label}: 'code' must be a text.")
    pairs = entry.get(
        "edits", [] if code is not None else [{"old": entry.get("old"), "new": entry.get("new")}]
    )
    return Misconception(
        id=entry["id"],
        stage=stage_id,
        exercise=entry["exercise"],
        help=" ".join(entry["help"].split()),
        edits=_edits(pairs, f"{name}: {label}"),
        code=code,
        file=name.rpartition("/")[2],
    )


def _edits(pairs: Any, where: str) -> tuple[Edit, ...]:
    if not isinstance(pairs, list):
        raise PackError(f"{where}: 'edits' must be a list of {{old, new}}.")
    edits = []
    for pair in pairs:
        if not isinstance(pair, dict) or set(pair) != {"old", "new"}:
            raise PackError(f"{where}: an edit is {{old, new}}, got {pair!r}.")
        if not isinstance(pair["old"], str) or not pair["old"] or not isinstance(pair["new"], str):
            raise PackError(f"{where}: old and new must be texts, and old not empty.")
        edits.append(Edit(pair["old"], pair["new"]))
    return tuple(edits)


def _require_sound(item: Misconception, wrong: str, name: str) -> None:
    """A wrong answer that does not even parse would be caught for the wrong reason."""
    if item.is_kernel:
        if "fn main" not in wrong:
            raise PackError(f"{name}: {item.id}: the changed kernel has no entry point main.")
        return
    try:
        ast.parse(wrong)
    except SyntaxError as error:
        raise PackError(
            f"{name}: {item.id}: the changed {item.exercise} is not Python: {error.msg} (line {error.lineno})."
        ) from error
    if item.exercise not in defined_functions(wrong):
        raise PackError(f"{name}: {item.id}: the changed source does not define {item.exercise}.")


def _times(count: int) -> str:
    return "not at all" if count == 0 else f"{count} times"
