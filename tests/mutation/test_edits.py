"""An edit touches one place between the markers, and is quoted so that it can be found again."""

from __future__ import annotations

import pytest

from gradschool.errors import PackError
from gradschool.mutation.edits import Edit, edit_between, quote, solution_regions

CELL = """\
def f(x):
    ### BEGIN SOLUTION
    y = x + 1
    return y
    ### END SOLUTION
"""


def test_the_shortest_edit_turns_one_text_into_the_other() -> None:
    for text, changed in [("a < b", "a <= b"), ("aa", "a"), ("a", "aa"), ("f(a, b)", "f(b, a)"), ("x", "x")]:
        assert edit_between(text, changed, "").apply(text) == changed
    assert edit_between("a < b", "a <= b", "operator") == Edit(3, 3, "=", "operator")


def test_only_the_lines_between_the_markers_are_the_solution() -> None:
    [(start, end)] = solution_regions(CELL, "###")
    assert CELL[start:end] == "    y = x + 1\n    return y\n"


@pytest.mark.parametrize("text", ["def f(x):\n    return x\n", CELL.replace("    ### END SOLUTION\n", "")])
def test_a_text_without_a_pair_of_markers_is_refused(text: str) -> None:
    with pytest.raises(PackError, match="BEGIN SOLUTION"):
        solution_regions(text, "###")


def test_a_change_is_quoted_in_whole_lines() -> None:
    assert quote("a = 1\n  b = 2\n", "a = 1\n  b = 3\n") == ("b = 2", "b = 3")


def test_a_line_that_comes_twice_is_quoted_with_the_lines_before_it() -> None:
    text = "if a:\n  x = 1\nif b:\n  x = 1\n"
    old, new = quote(text, "if a:\n  x = 1\nif b:\n  x = 2\n")
    assert (old, new) == ("if b:\n  x = 1", "if b:\n  x = 2")
    assert text.count(old) == 1


def test_a_first_line_that_comes_again_is_quoted_so_that_it_can_be_told() -> None:
    text, changed = "x = 1\nx = 1\n", "x = 2\nx = 1\n"
    old, new = quote(text, changed)
    assert text.count(old) == 1
    assert text.replace(old, new) == changed
