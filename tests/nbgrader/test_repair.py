from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbgrader.nbgraderformat import MetadataValidator

from gradschool.nbgrader.repair import repair_notebook
from gradschool.pack import Pack
from gradschool.release import build_notebook

TINY_PACK = Path(__file__).parents[1] / "release" / "tiny_pack"
RELEASED = build_notebook(Pack(TINY_PACK).stages[0])
GRADE_IDS = ["double", "halve", "scale_shift_wgsl"]


def grade_ids(notebook: dict[str, Any]) -> list[str]:
    metas = [cell["metadata"].get("nbgrader", {}) for cell in notebook["cells"]]
    return [meta["grade_id"] for meta in metas if meta.get("grade")]


def accept(notebook: dict[str, Any]) -> None:
    node: Any = nbformat.from_dict(notebook)
    nbformat.validate(node)
    MetadataValidator().validate_nb(node)


def test_an_intact_notebook_stays_as_it_is() -> None:
    repaired, notes = repair_notebook(json.dumps(RELEASED), RELEASED)
    assert notes == []
    assert repaired == RELEASED


def test_repairing_twice_changes_nothing_more() -> None:
    damaged = copy.deepcopy(RELEASED)
    del damaged["cells"][4:6]
    once, _ = repair_notebook(json.dumps(damaged), RELEASED)
    twice, notes = repair_notebook(json.dumps(once), RELEASED)
    assert twice == once
    assert notes == []


def test_a_changed_check_cell_is_restored_and_a_solution_is_not() -> None:
    changed = copy.deepcopy(RELEASED)
    for cell in changed["cells"]:
        cell["source"] = "print('mine')"
    repaired, _ = repair_notebook(json.dumps(changed), RELEASED)
    sources = {cell["id"]: cell["source"] for cell in repaired["cells"]}
    assert sources["double-check"] == 'gs.check("double")'
    assert sources["double-solution"] == "print('mine')"


def test_cells_that_lost_their_metadata_are_found_by_id() -> None:
    bare = copy.deepcopy(RELEASED)
    for cell in bare["cells"]:
        cell["metadata"] = {}
    repaired, notes = repair_notebook(json.dumps(bare), RELEASED)
    assert grade_ids(repaired) == GRADE_IDS
    assert notes == []


def test_a_missing_grade_cell_comes_back_behind_its_solution() -> None:
    damaged = copy.deepcopy(RELEASED)
    damaged["cells"] = [cell for cell in damaged["cells"] if not cell["id"].endswith("-check")]
    repaired, notes = repair_notebook(json.dumps(damaged), RELEASED)
    ids = [cell["id"] for cell in repaired["cells"]]
    assert ids.index("double-check") == ids.index("double-solution") + 1
    assert len(notes) == 3


def test_of_a_copied_cell_the_last_one_counts() -> None:
    copied = copy.deepcopy(RELEASED)
    again = copy.deepcopy(copied["cells"][3])
    again["source"] = "def double(x):\n    return 2 * x"
    copied["cells"].append(again)
    repaired, _ = repair_notebook(json.dumps(copied), RELEASED)
    accept(repaired)
    held = [
        c for c in repaired["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == "double_solution"
    ]
    assert [(cell["id"], cell["source"]) for cell in held] == [("double-solution", again["source"])]
    assert repair_notebook(json.dumps(repaired), RELEASED) == (repaired, [])


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"cells": 3}', "[" * 100_000, '{"cells": [', "\x00"]
)
def test_what_is_no_notebook_becomes_the_released_one_with_a_note(text: str) -> None:
    repaired, notes = repair_notebook(text, RELEASED)
    accept(repaired)
    assert grade_ids(repaired) == GRADE_IDS
    assert "could not be read" in notes[0]
    assert notes[0] in repaired["cells"][0]["source"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
META = st.dictionaries(
    st.sampled_from(["nbgrader", "tags", "x"]), JSON | st.fixed_dictionaries({"grade_id": JSON})
)
RAW_CELL = JSON | st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw", "video", 3]),
        "id": st.sampled_from([*(cell["id"] for cell in RELEASED["cells"]), "", 3, None, "a b"]),
        "metadata": META | JSON,
        "source": JSON,
    }
)


@given(st.lists(RAW_CELL | st.sampled_from(RELEASED["cells"]), max_size=12))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_whatever_the_cells_are_nbgrader_can_process_them(cells: list[Any]) -> None:
    repaired, _ = repair_notebook(json.dumps({"cells": cells}), RELEASED)
    accept(repaired)
    assert sorted(grade_ids(repaired)) == GRADE_IDS
