"""What a trace says of sound and of broken kernels, as text, HTML and JSON."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import gradschool as gs
from gradschool.cli.main import build_app
from gradschool.contract import load_contract
from gradschool.errors import UsageError
from gradschool.pack import find_pack
from gradschool.tracing.example import make_example
from gradschool.tracing.page import trace_page
from gradschool.tracing.record import trace_file
from gradschool.tracing.words import runs

SHADERS = Path(__file__).parents[2] / "shaders"
ROW_SUM = SHADERS / "00_first_kernel" / "row_sum.wgsl"
KERNELS = [kernel for stage in find_pack(Path(__file__)).stages[:2] for kernel in stage.kernels]


@pytest.fixture
def racy(tmp_path):
    """row_sum without the barrier inside its loop."""
    text = ROW_SUM.read_text()
    at = text.rindex("    workgroupBarrier();")
    path = tmp_path / "row_sum.wgsl"
    path.write_text(text[:at] + text[at:].replace("    workgroupBarrier();\n", "", 1))
    return path


def command(*words: str):
    return CliRunner().invoke(build_app(), ["trace", *words])


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_every_reference_kernel_can_be_traced_with_no_options_and_is_sound(path):
    traced = trace_file(path)
    assert traced.findings == []
    assert traced.cost.total.stores + traced.cost.total.atomics > 0
    assert path.name in str(traced)
    assert "<svg" in traced._repr_mimebundle_()["text/html"]


def test_a_trace_runs_the_arrays_it_is_given():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    traced = gs.trace(str(ROW_SUM), x=x)
    assert traced.launch.example.params == {"n_rows": 3, "n_cols": 4}
    np.testing.assert_array_equal(traced.outputs["out"], x.sum(axis=1))
    assert traced.cost.total.loads == 12
    assert traced.cost.total.load_bytes == 48


def test_the_race_is_marked_on_the_elements_it_is_about(racy):
    traced = trace_file(racy)
    race = traced.story.first_race
    assert traced.findings[0].kind == "race"
    assert race is not None
    assert race.variable == "partial"
    # The second fold reads what invocations 16 to 31 wrote in the first.
    assert {mark.element for mark in traced.story.races if mark.second == race.second} == set(range(16, 32))
    assert race.one == (0, 16)
    assert race.other == (0, 0)
    assert traced.story.frames[race.second].kind == "read"


def test_a_sound_kernel_has_no_marks():
    assert trace_file(ROW_SUM).story.races == []


def test_the_terminal_shows_the_listing_the_race_and_the_grid(racy):
    text = StringIO()
    trace_file(racy).print(Console(file=text, width=100, color_system=None))
    shown = text.getvalue()
    assert "race on partial, line 44" in shown
    assert "44 | partial[lane] += partial[lane + half];" in shown
    assert "R reads in a race" in shown
    row = next(line for line in shown.splitlines() if line.strip().startswith("partial[16]"))
    assert row.split()[1][0] == "R"


def test_the_page_needs_nothing_from_elsewhere(racy):
    traced = trace_file(racy)
    page = trace_page(traced.launch, traced.story)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "Race: invocation 0 reads partial[16]" in page
    assert page.count('data-part="who"') == 64


def test_race_between_workgroups_is_shown_on_all_of_them(tmp_path):
    path = tmp_path / "row_sum.wgsl"
    path.write_text(ROW_SUM.read_text().replace("out[row] = partial[0]", "out[0] = partial[0]"))
    traced = trace_file(path)
    race = traced.story.first_race
    assert race is not None
    assert race.one[0] != race.other[0]
    assert "nothing orders two workgroups" in str(traced)


def test_json_holds_counts_and_findings(racy):
    result = command(str(racy), "--json")
    record = json.loads(result.stdout)
    assert result.exit_code == 1
    assert record["findings"][0]["kind"] == "race"
    assert record["total"]["loads"] == 140
    assert record["lines"]["44"]["workgroup_loads"] == 252


def test_sizes_and_parameters_come_from_the_command_line():
    result = command(str(ROW_SUM), "--shape", "x=4x9", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["params"] == {"n_rows": 4, "n_cols": 9}
    scale = SHADERS / "00_first_kernel" / "scale_shift.wgsl"
    assert json.loads(command(str(scale), "--param", "n=5", "--json").stdout)["params"]["n"] == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shape", "x=4by9"], "is no shape"),
        (["--shape", "y=4"], "has no array 'y'"),
        (["--shape", "x=4"], "has 2 axes"),
        (["--param", "n_rows=many"], "is no number"),
        (["--param", "rows=3"], "has no parameter 'rows'"),
        (["--shape", "x=4x9", "--param", "n_cols=8"], "n_cols"),
        (["--variable", "y"], "touches no variable 'y'"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_in_a_sentence(words, message):
    result = command(str(ROW_SUM), *words)
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_a_kernel_that_is_not_there_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "There is no kernel nothing" in str(command("nothing").exception)


def test_an_alternative_borrows_the_contract_of_its_reference():
    path = SHADERS.parent / "graders/00_first_kernel/alternatives/wide_workgroups/row_sum.wgsl"
    assert trace_file(path).findings == []


def test_defaults_fit_each_other():
    contract = load_contract(SHADERS / "01_perceptron" / "affine_forward.wgsl")
    example = make_example(contract)
    assert example.arrays["x"].shape[1] == example.arrays["w"].shape[0] == example.params["d_in"]
    with pytest.raises(UsageError, match="has no array"):
        make_example(contract, shapes={"z": (3,)})


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([0, 1, 2, 5], "0-2, 5"), ([0, 2, 4, 6], "0-6 in steps of 2"), ([3], "3"), ([1, 9], "1, 9")],
    ids=str,
)
def test_numbers_are_said_as_ranges(numbers, words):
    assert runs(numbers) == words
