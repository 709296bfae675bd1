"""nbgrader's own preprocessors make from our source what `gradschool release` makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import ClearSolutions, SaveCells
from traitlets.config import Config

from gradschool.nbgrader import configure
from gradschool.pack import Pack
from gradschool.release import build_assignment
from gradschool.release.course import build_source

ROOT = Path(__file__).parents[2]
PACK = Pack(ROOT)


@pytest.mark.parametrize("stage_id", [stage.id for stage in PACK.stages])
def test_the_released_notebook_is_ours_byte_for_byte(stage_id: str, tmp_path: Path) -> None:
    stage = PACK.stage(stage_id)
    config = Config()
    configure(config, course=tmp_path, pack=ROOT)
    chosen = config.GenerateAssignment.preprocessors
    assert ClearSolutions not in chosen
    default: Any = GenerateAssignment.class_traits()["preprocessors"].default()
    assert len(chosen) == len(default)
    notebook = f"{stage_id}.ipynb"
    node, resources = nbformat.reads(build_source(stage)[notebook].decode(), as_version=4), {}
    for preprocessor in chosen:
        if preprocessor is not SaveCells:  # needs a gradebook, and changes nothing
            node, resources = preprocessor()(node, resources)
    assert (nbformat.writes(node) + "\n").encode() == build_assignment(stage)[notebook]


def test_kernels_of_every_stage_are_kept_from_overwriting(tmp_path: Path) -> None:
    config = Config()
    configure(config, course=tmp_path, pack=ROOT)
    kept = config.Autograde.exclude_overwriting
    assert {stage.id: sorted(kept[stage.id]) for stage in PACK.stages} == {
        stage.id: [path.name for path in stage.kernels] for stage in PACK.stages
    }
