from __future__ import annotations

import json

import pytest

from gradschool.contract import parse_contract
from gradschool.errors import PackError
from gradschool.lesson_file import BEGIN_SOLUTION
from gradschool.pack import Pack, Stage
from gradschool.release import build_assignment, build_notebook, compare, find_leaks, prune, write

SECRETS = (
    "raise ValueError(",
    "half_of_everything",
    "as_float(x) * FACTOR",
    "params.alpha * x[i]",
)


def sources(files: dict[str, bytes]) -> dict[str, str]:
    notebook = json.loads(files["00_tiny.ipynb"])
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


def test_an_assignment_holds_notebook_stubs_checks_and_figures(tiny: Stage) -> None:
    assert list(build_assignment(tiny)) == [
        "00_tiny.ipynb",
        "checks.py",
        "figures/double.svg",
        "hints.toml",
        "scale_shift.wgsl",
    ]


def test_the_same_lesson_gives_the_same_bytes(tiny: Stage) -> None:
    assert build_assignment(tiny) == build_assignment(Stage(tiny.id, tiny.root))


def test_changing_one_text_changes_no_other_cell(tiny: Stage) -> None:
    before = sources(build_assignment(tiny))
    text = tiny.lesson.read_text()
    tiny.lesson.write_text(text.replace("It has one of everything.", "It has all."))
    after = sources(build_assignment(Stage(tiny.id, tiny.root)))
    assert len(set(before.items()) ^ set(after.items())) == 2


def test_no_line_of_a_solution_reaches_learners(tiny: Stage) -> None:
    files = build_assignment(tiny)
    for name, content in files.items():
        for secret in (*SECRETS, BEGIN_SOLUTION):
            assert secret.encode() not in content, f"{name} shows {secret!r}"


def test_a_solution_line_in_the_visible_checks_is_refused(tiny: Stage) -> None:
    checks = tiny.graders / "checks.py"
    checks.write_text(checks.read_text() + "\n    return half_of_everything\n")
    with pytest.raises(PackError, match=r"checks\.py would show"):
        build_assignment(tiny)


def test_a_line_the_lesson_shows_anyway_is_no_leak(tiny: Stage) -> None:
    given = {"checks.py": b"return np.asarray(x, dtype=float)\n"}
    assert find_leaks(tiny, given) == []


def test_a_stub_says_which_function_is_to_be_written(tiny: Stage) -> None:
    stub = sources(build_assignment(tiny))["double-solution"]
    assert stub.endswith('    # YOUR CODE HERE\n    raise NotImplementedError("double: your code here")')
    assert "Return x times two." in stub
    namespace: dict = {}
    exec(stub, namespace)
    with pytest.raises(NotImplementedError, match="double: your code here"):
        namespace["double"](1)


def test_a_kernel_stub_keeps_the_whole_contract(tiny: Stage) -> None:
    stub = build_assignment(tiny)["scale_shift.wgsl"].decode()
    assert parse_contract(stub, "scale_shift.wgsl") == tiny.contracts["scale_shift.wgsl"]
    assert "fn main(@builtin(global_invocation_id) global_id: vec3u) {\n  // YOUR CODE HERE\n}" in stub


def test_each_exercise_needs_exactly_one_check_cell(tiny: Stage) -> None:
    text = tiny.lesson.read_text()
    tiny.lesson.write_text(text.replace('gs.check("halve")', 'gs.check("double")'))
    with pytest.raises(PackError, match="double has 2 check cells"):
        build_notebook(Stage(tiny.id, tiny.root))


def test_a_check_of_something_unknown_is_refused(tiny: Stage) -> None:
    text = tiny.lesson.read_text()
    tiny.lesson.write_text(text + '\n# %% tags=["check"]\ngs.check("triple")\n')
    with pytest.raises(PackError, match="names 'triple'"):
        build_notebook(Stage(tiny.id, tiny.root))


def test_two_exercises_whose_ids_differ_only_in_a_dot_are_refused(tiny: Stage) -> None:
    text = tiny.lesson.read_text().replace("halve", "scale_shift_wgsl")
    tiny.lesson.write_text(text)
    graders = tiny.graders / "test_tiny.py"
    graders.write_text(graders.read_text().replace("halve", "scale_shift_wgsl"))
    with pytest.raises(PackError, match="two cells would be called 'scale_shift_wgsl'"):
        build_notebook(Stage(tiny.id, tiny.root))


def test_writing_makes_the_folder_fresh_and_keeps_what_is_not_ours(tiny: Stage) -> None:
    files = build_assignment(tiny)
    write(tiny, files, compare(tiny, files))
    (tiny.assignment / "notes.md").write_text("mine")
    (tiny.assignment / ".ipynb_checkpoints").mkdir()
    (tiny.assignment / ".ipynb_checkpoints" / "00_tiny-checkpoint.ipynb").write_text("{}")
    state = compare(tiny, files)
    assert (state.stale, state.stray) == ([], ["notes.md"])
    write(tiny, files, state)
    assert (tiny.assignment / "notes.md").exists()
    prune(tiny, state)
    assert compare(tiny, files).stray == []


def test_one_changed_byte_is_stale(tiny: Stage) -> None:
    files = build_assignment(tiny)
    write(tiny, files, compare(tiny, files))
    (tiny.assignment / "checks.py").write_bytes(files["checks.py"] + b"\n")
    assert compare(tiny, files).stale == ["checks.py"]


def test_a_stage_without_visible_checks_is_refused(tiny_pack: Pack) -> None:
    stage = tiny_pack.stages[0]
    (stage.graders / "checks.py").unlink()
    with pytest.raises(PackError, match=r"checks\.py is missing"):
        build_assignment(stage)
