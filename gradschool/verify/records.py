"""The record `gradschool verify --json` prints."""

from __future__ import annotations

import msgspec

from gradschool.grading.records import DeviceRecord

SCHEMA_VERSION = 1


class MisconceptionCount(msgspec.Struct, kw_only=True):
    """How many catalogued mistakes a stage's tests catch, and how many feedback names."""

    total: int = 0
    caught: int = 0
    named: int = 0


class AlternativeCount(msgspec.Struct, kw_only=True):
    """How many differently written correct answers earn full marks."""

    total: int = 0
    passed: int = 0


class StageVerdict(msgspec.Struct, kw_only=True):
    """What was proven about one stage; `faults` is empty when everything holds.

    Attributes:
        independent: Functions without which everything later still earns all its points.
        precise: Exercises whose tests notice coarse answers, or say why they cannot.
    """

    id: str
    exercises: int
    kernels: int
    max_score: float
    reference: float = 0.0
    stub: float = 0.0
    misconceptions: MisconceptionCount = msgspec.field(default_factory=MisconceptionCount)
    alternatives: AlternativeCount = msgspec.field(default_factory=AlternativeCount)
    independent: int = 0
    precise: int = 0
    faults: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether the stage is proven."""
        return not self.faults


class VerifyRecord(msgspec.Struct, kw_only=True):
    """The whole record."""

    stages: list[StageVerdict]
    device: DeviceRecord
    seed: int
    seconds: float
    schema_version: int = SCHEMA_VERSION


def verify_schema() -> dict:
    """Return the JSON Schema of `VerifyRecord`."""
    return msgspec.json.schema(VerifyRecord)
