"""The record that `gradschool mutate --json` prints."""

from __future__ import annotations

from typing import Literal

import msgspec

from gradschool.grading.records import DeviceRecord

SCHEMA_VERSION = 1


class MutantRecord(msgspec.Struct, kw_only=True):
    """A mutant that no test notices, or that is said to be none.

    Attributes:
        old: Whole lines of the reference.
        new: What stands in their place.
        why: The listed proof that it is no mistake; "" for a survivor.
    """

    id: str
    line: int
    old: str
    new: str
    why: str = ""


class ExerciseMutants(msgspec.Struct, kw_only=True):
    """What became of one exercise's mutants.

    Attributes:
        killed: How many a hidden test noticed.
        not_compiled: How many of these do not compile.
        endless: How many of these never end.
        faults: Sentences about listed equivalents that a test does notice, and mutants that could not be graded.
    """

    stage: str
    exercise: str
    mutants: int
    killed: int = 0
    not_compiled: int = 0
    endless: int = 0
    equivalent: list[MutantRecord] = []
    survivors: list[MutantRecord] = []
    faults: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether the tests notice every mutant that is a mistake."""
        return not self.survivors and not self.faults


class MutationRecord(msgspec.Struct, kw_only=True):
    """The whole record."""

    exercises: list[ExerciseMutants]
    device: DeviceRecord
    seed: int
    seconds: float
    schema_version: Literal[1] = SCHEMA_VERSION

    @property
    def holds(self) -> bool:
        """Whether every exercise holds."""
        return all(exercise.holds for exercise in self.exercises)


def mutation_schema() -> dict:
    """Return the JSON Schema of `MutationRecord`."""
    return msgspec.json.schema(MutationRecord)
