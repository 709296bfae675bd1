"""The demo class can be made from every stage of this course."""

from __future__ import annotations

import json

import pytest

from gradschool.demo.material import gather
from gradschool.demo.run import cast_parts
from gradschool.grading.fill import cell_source, defined_functions
from gradschool.pack import find_pack

STAGES = find_pack().stages


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.id)
def test_every_part_has_a_submission_and_an_expectation_for_each_exercise(stage):
    material = gather(stage)
    parts = {part.actor.name: part.work for part in cast_parts([material])}
    assert len(parts) >= 15
    for work in parts.values():
        assert list(work.expectation.levels) == list(material.points)
        assert set(work.expectation.named) <= set(material.points)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.id)
def test_the_perfect_notebook_defines_every_function(stage):
    material = gather(stage)
    notebook = json.loads(material.hand_in()[material.notebook_name])
    sources = [cell_source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    defined = {name for source in sources for name in defined_functions(source)}
    assert set(material.functions) <= defined
    assert not any("YOUR CODE HERE" in source for source in sources)


def test_together_two_stages_play_every_part():
    materials = [gather(stage) for stage in STAGES[:2]]
    parts = cast_parts(materials)
    assert len({part.actor.name for part in parts}) == 19
