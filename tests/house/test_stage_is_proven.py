"""`gradschool verify` holds for every stage: the pack's central promise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gradschool.pack import Pack
from gradschool.verify.records import VerifyRecord

ROOT = Path(__file__).parents[2]
# One seed: a commit is judged by what it changes, not by luck. `gradschool verify` draws a fresh one each time.
SEED = 1


@pytest.mark.parametrize("stage", [stage.id for stage in Pack(ROOT).stages])
def test_reference_earns_all_stub_none_and_every_mistake_is_caught_and_named(stage: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gradschool", "verify", stage, "--seed", str(SEED), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    record = msgspec.convert(json.loads(done.stdout), VerifyRecord)
    (verdict,) = record.stages
    assert verdict.faults == []
    assert verdict.reference == verdict.max_score > 0
    assert verdict.stub == 0
    assert verdict.misconceptions.caught == verdict.misconceptions.named == verdict.misconceptions.total > 0
    assert verdict.alternatives.passed == verdict.alternatives.total > 0
    assert done.returncode == 0
