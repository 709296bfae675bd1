"""Mutants that are no mistakes: a change after which every right answer is still right.

`graders/NN_stage/equivalent_mutants.toml` lists them, each with the reason. An entry quotes the
reference, as a misconception does, so it says what it means without a line number.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradschool.errors import PackError
from gradschool.grading.fill import reference_functions, reference_kernels
from gradschool.mutation.mutants import Mutant, key_for
from gradschool.mutation.records import MutationRecord
from gradschool.pack import Stage

# A long list may be split: equivalent_mutants.toml, equivalent_mutants_kernels.toml, ...
PATTERN = "equivalent_mutants*.toml"
_KEYS = ("exercise", "old", "new", "why")


@dataclass(frozen=True)
class Equivalent:
    """One entry.

    Attributes:
        exercise: The function or kernel file.
        old: Text of the reference, there exactly once.
        new: What the mutant has in its place.
        why: The proof that nothing a test may ask tells them apart.
        file: Name of the file it is from.
    """

    exercise: str
    old: str
    new: str
    why: str
    file: str = "equivalent_mutants.toml"

    def apply(self, reference: str) -> str:
        """Return the mutant's source.

        Raises:
            PackError: `old` is not in the reference exactly once.
        """
        count = reference.count(self.old)
        if count != 1:
            times = "not at all" if count == 0 else f"{count} times"
            raise PackError(
                f"{self.file}: {self.exercise}: the old text is in the reference {times}: {self.old!r}.",
                help="Quote enough of the reference, solution markers left out, that it is there exactly once.",
            )
        return reference.replace(self.old, self.new)


def load_equivalents(stage: Stage) -> list[Equivalent]:
    """Read the stage's list; a stage without one has none.

    Raises:
        PackError: A file is not TOML, or an entry is malformed.
    """
    return [entry for path in sorted(stage.graders.glob(PATTERN)) for entry in _read(path, stage)]


def match(stage: Stage, exercise: str, mutants: Iterable[Mutant]) -> dict[str, Equivalent]:
    """Return the entry of each listed mutant of `exercise`, by the mutant's id.

    Raises:
        PackError: An entry matches no mutant, or two match one.
    """
    references = {**reference_functions(stage), **reference_kernels(stage)}
    by_program = {key_for(exercise, mutant.source): mutant.id for mutant in mutants}
    found: dict[str, Equivalent] = {}
    for entry in load_equivalents(stage):
        if entry.exercise != exercise:
            continue
        mutant_id = by_program.get(key_for(exercise, entry.apply(references[exercise])))
        if mutant_id is None:
            raise PackError(
                f"{entry.file}: no mutant of {exercise} is {_change(entry)}.",
                help=f"`gradschool mutate {stage.id[:2]} --exercise {exercise} --list` shows the mutants there are.",
            )
        if mutant_id in found:
            raise PackError(f"{entry.file}: {mutant_id} is listed twice: {_change(entry)}.")
        found[mutant_id] = entry
    return found


def template(record: MutationRecord) -> str:
    """Return entries to fill in for the survivors."""
    return "\n".join(
        f"[[equivalent]]\nexercise = {_toml(one.exercise)}\nold = {_toml(survivor.old)}\n"
        f'new = {_toml(survivor.new)}\nwhy = ""\n'
        for one in record.exercises
        for survivor in one.survivors
    )


def _read(path: Path, stage: Stage) -> list[Equivalent]:
    name = f"graders/{stage.id}/{path.name}"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackError(f"{name} is not TOML: {error}.") from error
    stray = sorted(set(table) - {"equivalent"})
    entries = table.get("equivalent", [])
    if stray or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PackError(
            f"{name} holds {stray[0]!r}." if stray else f"{name} holds no [[equivalent]] entries.",
            help="It is a list of [[equivalent]] entries and nothing else.",
        )
    known = {exercise.id for exercise in stage.exercises}
    return [_make(entry, name, known) for entry in entries]


def _make(entry: dict[str, Any], name: str, known: set[str]) -> Equivalent:
    label = f"{name}: an entry of {entry.get('exercise', 'no exercise')}"
    unknown = sorted(set(entry) - set(_KEYS))
    if unknown:
        raise PackError(f"{label}: unknown key {unknown[0]!r}.", help=f"Known: {', '.join(_KEYS)}.")
    for key in _KEYS:
        if not isinstance(entry.get(key), str) or (key != "new" and not entry[key].strip()):
            raise PackError(f"{label}: {key!r} must be a text that is not empty.")
    if entry["exercise"] not in known:
        raise PackError(f"{label}: the stage has no such exercise.")
    return Equivalent(**entry, file=name)


def _change(entry: Equivalent) -> str:
    return f"{entry.old!r} -> {entry.new!r}"


def _toml(text: str) -> str:
    """Quote a text as TOML, literally where that is possible."""
    if "\n" in text:
        return f"'''\n{text}'''" if "'''" not in text else '"""\n' + text.replace("\\", "\\\\") + '"""'
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
