"""Answers as text: references, misconceptions, alternatives, and notebooks filled with them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradschool.errors import PackError
from gradschool.grading.alternatives import load_alternatives
from gradschool.grading.fill import cell_source, fill_notebook, reference_functions, reference_kernels
from gradschool.grading.misconceptions import load_misconceptions
from gradschool.pack import Stage


def notebook_of(stage: Stage) -> dict:
    return json.loads((stage.assignment / f"{stage.id}.ipynb").read_text())


def run(notebook: dict, name: str, *args):
    namespace: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "gs.check" not in cell_source(cell):
            exec(cell_source(cell), namespace)
    return namespace[name](*args)


def test_references_come_in_lesson_order_without_markers(tiny_stage):
    functions = reference_functions(tiny_stage)
    assert list(functions) == ["double", "clip"]
    assert "SOLUTION" not in "".join(functions.values())
    assert "LIMIT = 3" in functions["clip"]


def test_reference_kernels_lose_only_their_markers(tiny_stage):
    text = reference_kernels(tiny_stage)["double.wgsl"]
    assert "SOLUTION" not in text
    assert text.startswith("// double:")
    assert text.endswith("}\n")


def test_a_filled_notebook_computes_what_the_sources_say(tiny_stage):
    stub = notebook_of(tiny_stage)
    filled = fill_notebook(stub, reference_functions(tiny_stage))
    assert run(filled, "double", 4) == 8
    assert run(filled, "clip", np.array([1, 9])).tolist() == [1, 3]
    with pytest.raises(NotImplementedError):
        run(stub, "double", 4)


def test_a_filled_notebook_keeps_ids_metadata_and_the_form_of_its_sources(tiny_stage):
    stub = notebook_of(tiny_stage)
    for cell in stub["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
        cell["metadata"] = {"nbgrader": {"grade_id": cell["id"]}}
    filled = fill_notebook(stub, {"double": "def double(x):\n    return x + x"})
    assert [cell["id"] for cell in filled["cells"]] == [cell["id"] for cell in stub["cells"]]
    assert all(isinstance(cell["source"], list) for cell in filled["cells"])
    assert filled["cells"][2]["metadata"] == stub["cells"][2]["metadata"]
    assert run(filled, "double", 4) == 8


def test_filling_a_function_the_notebook_lacks_is_refused(tiny_stage):
    with pytest.raises(PackError, match="no cell that defines triple"):
        fill_notebook(notebook_of(tiny_stage), {"triple": "def triple(x): ..."})


def test_misconceptions_apply_to_the_reference(tiny_stage):
    triple, no_guard = load_misconceptions(tiny_stage)
    wrong = triple.apply(reference_functions(tiny_stage)["double"])
    assert run(fill_notebook(notebook_of(tiny_stage), {"double": wrong}), "double", 4) == 12
    assert no_guard.is_kernel
    assert "if (false)" in no_guard.apply(reference_kernels(tiny_stage)["double.wgsl"])


def test_a_misconception_may_be_several_edits_or_whole_code(tiny_stage):
    (tiny_stage.graders / "misconceptions.toml").write_text(
        """
[[misconception]]
id = "both"
exercise = "clip"
help = "Two things."
edits = [{old = "minimum", new = "maximum"}, {old = "LIMIT = 3", new = "LIMIT = 4"}]

[[misconception]]
id = "whole"
exercise = "double"
help = "Another
 thing."
code = '''
def double(x):
    return x ** 2
'''
""".replace('"Another\n thing."', '"""Another\n thing."""')
    )
    both, whole = load_misconceptions(tiny_stage)
    assert "maximum" in both.apply(reference_functions(tiny_stage)["clip"])
    assert whole.help == "Another thing."
    assert "x ** 2" in whole.apply("anything")


ENTRY = 'id = "a"\nexercise = "double"\nhelp = "Help."\n'


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (ENTRY + 'old = "x * 9"\nnew = "x"', "not at all"),
        (ENTRY + 'old = "x"\nnew = "y"', "3 times"),
        (ENTRY + 'old = "x * 2"\nnew = "x * 2"', "changes nothing"),
        (ENTRY + 'old = "x * 2"\nnew = "x *"', "is not Python"),
        (ENTRY + 'old = "def double"\nnew = "def trouble"', "does not define double"),
        (ENTRY, "gives no change"),
        (ENTRY + 'old = "x * 2"\nnew = "x"\ncode = "pass"', "gives old and code"),
        (ENTRY + 'old = "x * 2"', "old and new must be texts"),
        (ENTRY + 'edits = [{old = "x * 2"}]', "an edit is {old, new}"),
        (ENTRY + 'old = "x * 2"\nnew = "x"\ncolour = "red"', "unknown key 'colour'"),
        (ENTRY.replace("double", "treble") + 'old = "x * 2"\nnew = "x"', "no exercise 'treble'"),
        (ENTRY.replace('"Help."', '""') + 'old = "x * 2"\nnew = "x"', "'help' must be"),
        (
            ENTRY + 'old = "x * 2"\nnew = "x"\n[[misconception]]\n' + ENTRY + 'code = "def double(x): ..."',
            "twice",
        ),
        (ENTRY + "old = ", "is not TOML"),
    ],
)
def test_a_malformed_catalogue_is_refused_with_a_sentence(tiny_stage, body, sentence):
    (tiny_stage.graders / "misconceptions.toml").write_text(f"[[misconception]]\n{body}\n")
    with pytest.raises(PackError) as caught:
        load_misconceptions(tiny_stage)
    assert sentence in str(caught.value)
    assert "graders/00_tiny/misconceptions.toml" in str(caught.value)


def test_a_catalogue_may_be_split_over_files(tiny_stage):
    extra = tiny_stage.graders / "misconceptions_more.toml"
    body = 'exercise = "clip"\nhelp = "Help."\nold = "minimum"\nnew = "maximum"\n'
    extra.write_text('[[misconception]]\nid = "floor"\n' + body)
    assert [item.id for item in load_misconceptions(tiny_stage)] == ["triple", "no-guard", "floor"]
    extra.write_text('[[misconception]]\nid = "triple"\n' + body)
    with pytest.raises(PackError, match=r"misconceptions_more\.toml: the id 'triple' comes twice"):
        load_misconceptions(tiny_stage)


def test_a_stage_without_a_catalogue_has_no_misconceptions(tiny_stage):
    (tiny_stage.graders / "misconceptions.toml").unlink()
    assert load_misconceptions(tiny_stage) == []


def test_alternatives_carry_their_files_imports_and_constants(tiny_stage):
    (plain,) = load_alternatives(tiny_stage)
    assert plain.name == "plain"
    assert list(plain.functions) == ["double"]
    assert "__future__" not in plain.functions["double"]
    assert run(fill_notebook(notebook_of(tiny_stage), plain.functions), "double", 4) == 8
    assert "workgroup_size(1)" in plain.kernels["double.wgsl"]


@pytest.mark.parametrize(
    ("filename", "text", "sentence"),
    [
        ("answers.py", "def other(x): ...", "defines no exercise"),
        ("answers.py", "def double(x:", "is not Python"),
        ("answers.py", "def double(x): ...\ndef double(x): ...", "defines double twice"),
        ("half.wgsl", "fn main() {}", "answers no exercise"),
    ],
)
def test_a_malformed_alternative_is_refused_with_a_sentence(tiny_stage, filename, text, sentence):
    (tiny_stage.graders / "alternatives/plain" / filename).write_text(text)
    with pytest.raises(PackError, match=sentence):
        load_alternatives(tiny_stage)


def test_an_empty_alternative_is_refused(tiny_stage):
    (tiny_stage.graders / "alternatives/empty").mkdir()
    with pytest.raises(PackError, match="holds no answer"):
        load_alternatives(tiny_stage)
