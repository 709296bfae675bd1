"""Mutants of the course: stable, different from one another, and the listed ones are among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradschool.errors import PackError
from gradschool.grading.fill import reference_functions, reference_kernels
from gradschool.mutation import Mutant, mutants_of
from gradschool.mutation.equivalents import load_equivalents, match
from gradschool.pack import Pack, Stage, find_pack

PACK = find_pack()
FUNCTION, KERNEL = ("01", "softmax_forward"), ("00", "row_sum.wgsl")


def mutants(place: tuple[str, str]) -> list[Mutant]:
    return mutants_of(PACK.stage(place[0]), place[1])


@pytest.mark.parametrize("place", [FUNCTION, KERNEL], ids=["function", "kernel"])
def test_mutants_are_the_same_each_time_and_no_two_are_one(place: tuple[str, str]) -> None:
    first = mutants(place)
    assert first == mutants(place)
    assert len({mutant.id for mutant in first}) == len({mutant.source for mutant in first}) == len(first)
    assert [mutant.line for mutant in first] == sorted(mutant.line for mutant in first)


@pytest.mark.parametrize("place", [FUNCTION, KERNEL], ids=["function", "kernel"])
def test_old_and_new_text_of_a_mutant_say_what_it_is(place: tuple[str, str]) -> None:
    stage = PACK.stage(place[0])
    reference = {**reference_functions(stage), **reference_kernels(stage)}[place[1]]
    for mutant in mutants(place):
        assert reference.count(mutant.old) == 1
        assert reference.replace(mutant.old, mutant.new) == mutant.source


@pytest.mark.parametrize("place", [FUNCTION, KERNEL], ids=["function", "kernel"])
def test_a_mutant_names_the_line_it_is_on(place: tuple[str, str]) -> None:
    stage = PACK.stage(place[0])
    path = stage.shaders / place[1] if place[1].endswith(".wgsl") else stage.lesson
    lines = path.read_text(encoding="utf-8").splitlines()
    for mutant in mutants(place):
        assert lines[mutant.line - 1].strip() in mutant.old


def test_only_what_learners_write_is_changed() -> None:
    header = mutants(KERNEL)[0].source.partition("@compute")[0]
    assert all(mutant.source.startswith(header) for mutant in mutants(KERNEL))


def test_an_exercise_that_does_not_exist_is_named() -> None:
    with pytest.raises(PackError, match="no_such_function"):
        mutants_of(PACK.stage("00"), "no_such_function")


@pytest.mark.parametrize("stage", PACK.stages, ids=lambda stage: stage.id)
def test_every_listed_equivalent_is_a_mutant(stage: Stage) -> None:
    for exercise in dict.fromkeys(entry.exercise for entry in load_equivalents(stage)):
        match(stage, exercise, mutants_of(stage, exercise))


ENTRY = """\
[[equivalent]]
exercise = "add_forward.wgsl"
old = "out[i] = a[i] + b[i];"
new = "out[i] = {new};"
why = "{why}"
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """The first stage with a list of equivalents of its own."""
    for folder in ("solutions", "shaders"):
        (tmp_path / folder).symlink_to(PACK.root / folder)
    graders = tmp_path / "graders" / "00_first_kernel"
    graders.mkdir(parents=True)
    for path in PACK.stage("00").graders.glob("test_*.py"):
        (graders / path.name).symlink_to(path)
    return Pack(tmp_path).stage("00")


def listed(stage: Stage, text: str) -> dict[str, str]:
    (stage.graders / "equivalent_mutants.toml").write_text(text, encoding="utf-8")
    found = match(stage, "add_forward.wgsl", mutants_of(stage, "add_forward.wgsl"))
    return {mutant_id: entry.why for mutant_id, entry in found.items()}


def test_an_entry_is_found_however_it_is_laid_out(stage: Stage) -> None:
    text = ENTRY.format(new="a[i]-b[i]", why="It is not, but that is another test.")
    assert listed(stage, text) == {"add_forward.wgsl:operator:1": "It is not, but that is another test."}


def test_an_entry_that_is_no_mutant_is_refused(stage: Stage) -> None:
    with pytest.raises(PackError, match="no mutant of add_forward"):
        listed(stage, ENTRY.format(new="b[i] + a[i]", why="Addition commutes."))


def test_an_entry_whose_text_is_not_in_the_reference_is_refused(stage: Stage) -> None:
    with pytest.raises(PackError, match="not at all"):
        listed(stage, ENTRY.format(new="a[i] - b[i]", why="w").replace("out[i] = a[i]", "out[i] = c[i]"))


def test_an_entry_without_a_proof_is_refused(stage: Stage) -> None:
    with pytest.raises(PackError, match="'why' must be a text that is not empty"):
        listed(stage, ENTRY.format(new="a[i] - b[i]", why=""))


def test_a_mutant_that_is_listed_twice_is_refused(stage: Stage) -> None:
    entry = ENTRY.format(new="a[i] - b[i]", why="w")
    with pytest.raises(PackError, match="listed twice"):
        listed(stage, entry + entry)


def test_an_entry_of_an_unknown_exercise_or_key_is_refused(stage: Stage) -> None:
    entry = ENTRY.format(new="a[i] - b[i]", why="w")
    with pytest.raises(PackError, match="no such exercise"):
        listed(stage, entry.replace("add_forward", "sub_forward"))
    with pytest.raises(PackError, match="unknown key 'line'"):
        listed(stage, entry + "line = 3\n")
