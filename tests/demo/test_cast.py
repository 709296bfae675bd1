"""The demo class: every submission is what its story says."""

from __future__ import annotations

import ast
import json

import numpy as np
import pytest

from gradschool.demo import edits
from gradschool.demo.cast import CAST
from gradschool.demo.expectation import expect, headline, judge
from gradschool.demo.hostile import ATTACKS, attack_all
from gradschool.demo.material import Material, gather
from gradschool.demo.run import cast_parts
from gradschool.grading.fill import cell_source, defined_functions
from gradschool.grading.records import (
    DeviceRecord,
    ExerciseRecord,
    SandboxRecord,
    SubmissionRecord,
    TestRecord,
)

ANSWER = '''\
def double(x):
    """Return twice `x`."""
    y = x * 2
    return y
'''
KERNEL = """\
fn helper() {}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) local_id: vec3u) {  // entry
  partial[local_id.x] = 1.0;
  workgroupBarrier();  // wait for the loads
  out[0] = partial[0];
}
"""


@pytest.fixture
def material(tiny_stage) -> Material:
    return gather(tiny_stage)


def define(source: str, name: str):
    namespace: dict = {"np": np}
    exec(source, namespace)
    return namespace[name]


def exercise(name: str, score: float, message: str = "", misconception: str | None = None) -> ExerciseRecord:
    outcome = "passed" if score == 2 else "failed"
    test = TestRecord(name="test_it", score=score, max_score=2, outcome=outcome, message=message)
    return ExerciseRecord(
        id=name, score=score, max_score=2, message=message, misconception=misconception, tests=[test]
    )


def graded(*exercises: ExerciseRecord, **values) -> SubmissionRecord:
    defaults = {
        "status": "graded",
        "device": DeviceRecord(name="cpu", kind="interpreter"),
        "sandbox": SandboxRecord(level="full"),
        "seed": 0,
        "grader_version": "0",
        "seconds": 1.0,
    }
    return SubmissionRecord(
        student="Ada",
        stage="00_tiny",
        score=sum(item.score for item in exercises),
        max_score=sum(item.max_score for item in exercises),
        exercises=list(exercises),
        **{**defaults, **values},
    )


def test_code_goes_after_the_docstring():
    changed = edits.insert_first(ANSWER, "double", "x = x + 1")
    assert define(changed, "double")(3) == 8
    assert define(changed, "double").__doc__ == "Return twice `x`."


def test_a_body_is_replaced_and_its_docstring_stays():
    changed = edits.replace_body(ANSWER, "double", "return 7")
    assert define(changed, "double")(3) == 7
    assert "y = x * 2" not in changed
    assert define(changed, "double").__doc__ == "Return twice `x`."


@pytest.mark.parametrize("wrap", ["y", "(y, (x,))", "{'w': y}"])
def test_a_spoiled_result_keeps_its_form_and_holds_no_number(wrap):
    source = ANSWER.replace("return y", f"return {wrap}")
    out = define(edits.spoil_result(source, "double"), "double")(np.ones(3, np.float32))
    first = out[0] if isinstance(out, tuple) else out
    first = first["w"] if isinstance(first, dict) else first
    assert np.isnan(first).all()
    assert first.dtype == np.float32


def test_wgsl_goes_to_the_start_of_main():
    lines = edits.insert_in_main(KERNEL, "let row = 1u;\n").splitlines()
    assert lines[lines.index("  let row = 1u;") - 1].startswith("fn main(")


def test_barriers_are_seen_and_dropped():
    assert edits.has_barrier(KERNEL)
    assert not edits.has_barrier(edits.drop_barriers(KERNEL))
    assert "out[0] = partial[0];" in edits.drop_barriers(KERNEL)


def test_every_part_is_a_whole_submission_with_an_expectation_for_every_exercise(material):
    for part in cast_parts([material]):
        assert set(part.work.expectation.levels) == {"double", "clip", "double.wgsl"}
        assert set(part.work.files) <= {"00_tiny.ipynb", "double.wgsl", "checks.py"}
        assert part.work.did


def test_names_are_plain_unique_and_in_order_of_the_alphabet_but_for_the_attacker():
    names = [actor.name for actor in CAST]
    assert names[:-1] == sorted(names[:-1])
    assert len(set(names)) == len(names)
    assert all(name.isascii() for name in names)
    assert [actor.name for actor in CAST if actor.attacks] == ["Mallory Voss"]


def test_the_perfect_submission_holds_the_reference_and_the_stub_none_of_it(material):
    works = {part.actor.name: part.work for part in cast_parts([material])}
    perfect, stub = works["Ada Lindqvist"], works["Hana Yilmaz"]
    assert b"x * 2" in perfect.files["00_tiny.ipynb"]
    assert b"x * 2" not in stub.files["00_tiny.ipynb"]
    assert set(perfect.expectation.levels.values()) == {"full"}
    assert set(stub.expectation.levels.values()) == {"zero"}
    assert stub.files == {name: data for name, data in material.released.items() if "figures" not in name} | {
        "00_tiny.ipynb": stub.files["00_tiny.ipynb"]
    }


def test_known_mistakes_are_expected_by_name(material):
    works = {part.actor.name: part.work for part in cast_parts([material])}
    assert works["Dana Haddad"].expectation.named == {"double": "triple"}
    assert works["Farah Aziz"].expectation.named == {"double.wgsl": "no-guard"}
    assert works["Farah Aziz"].expectation.levels == {"double": "full", "clip": "full", "double.wgsl": "less"}


def test_the_broken_are_broken(material):
    works = {part.actor.name: part.work for part in cast_parts([material])}
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(works["Ivo Petrov"].files["00_tiny.ipynb"])
    assert "double.wgsl" not in works["Kofi Mensah"].files
    cells = json.loads(works["Juno Park"].files["00_tiny.ipynb"])["cells"]
    broken = [cell for cell in cells if cell["cell_type"] == "code" and not _parses(cell_source(cell))]
    assert len(broken) == 1


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def test_every_attack_is_python_and_keeps_the_function_it_hides_in(material):
    for name, code in ATTACKS.items():
        body = code.format(name="double", lesson="/lesson.py", arguments="(x, )")
        changed = edits.replace_body(ANSWER, "double", body.rstrip())
        assert defined_functions(changed) == ("double",), name
    sources, tried = attack_all(material)
    assert list(sources) == ["double", "clip"]
    assert tried == list(ATTACKS)[:2]
    assert "(x, )" in sources["double"]


def test_a_stage_without_barriers_or_alternatives_leaves_those_parts_out(tiny_stage):
    import shutil

    shutil.rmtree(tiny_stage.graders / "alternatives")
    names = {part.actor.name for part in cast_parts([gather(tiny_stage)])}
    assert "Omar Farouk" not in names
    assert "Bela Kovacs" not in names
    assert "Ada Lindqvist" in names


def test_what_is_as_expected_has_no_complaints():
    expectation = expect(["a", "b", "c"], zero=["b"], named={"c": "global-max"})
    record = graded(exercise("a", 2), exercise("b", 0), exercise("c", 1, "Help.", "global-max"))
    assert judge(expectation, record) == []


def test_the_backward_of_a_wrong_forward_may_be_anything():
    expectation = expect(["affine_forward", "affine_backward", "sgd_step"], zero=["affine_forward"])
    assert expectation.levels == {"affine_forward": "zero", "affine_backward": "any", "sgd_step": "full"}
    assert expectation.about == ["affine_forward"]
    record = graded(exercise("affine_forward", 0), exercise("affine_backward", 0), exercise("sgd_step", 2))
    assert judge(expectation, record) == []


@pytest.mark.parametrize(
    ("expectation", "got", "sentence"),
    [
        (expect(["a"]), exercise("a", 1, "out differs"), "a got 1 of 2, expected all: out differs"),
        (expect(["a"], zero=["a"]), exercise("a", 1), "a got 1 of 2, expected none."),
        (expect(["a"], less=["a"]), exercise("a", 2), "a got 2 of 2, expected less."),
        (expect(["a"], named={"a": "x"}), exercise("a", 1), "was told no misconception, expected x"),
        (expect(["a"], zero=["a"], words={"a": "grup"}), exercise("a", 0, "no"), "does not say 'grup'"),
        (expect(["a"]), exercise("b", 2), "a has no record"),
    ],
)
def test_what_is_not_as_expected_is_said(expectation, got, sentence):
    assert sentence in "\n".join(judge(expectation, graded(got)))


def test_an_untold_problem_and_a_failed_grader_are_never_as_expected():
    assert judge(expect(["a"], problem=True), graded(exercise("a", 2))) == [
        "The submission's problem was not told."
    ]
    record = graded(exercise("a", 2), status="not-graded", problems=["No worker."])
    assert judge(expect(["a"]), record) == ["The grader failed: No worker."]


def test_the_headline_tells_the_submissions_own_story():
    expectation = expect(["a", "b"], zero=["b"])
    assert headline(expectation, graded(exercise("a", 2), exercise("b", 0, "b hangs."))) == "b hangs."
    assert headline(expectation, graded(exercise("a", 2), exercise("b", 2))) == "Everything passes."
    assert headline(expectation, graded(exercise("a", 2), problems=["No JSON.\nSave it."])) == "No JSON."
