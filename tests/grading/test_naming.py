"""Which part of an answer tells one mistake from another."""

from __future__ import annotations

import numpy as np
import pytest

from gradschool.grading.calls import Call, Evidence
from gradschool.grading.naming import Namer
from gradschool.grading.replay import KernelReplays
from gradschool.pack import Pack

LESSON = '''

# %%
def shares_forward(x):
    """Return the sum of x and a cache; `cache["shares"]` holds each entry's share of it."""
    ### BEGIN SOLUTION
    if x.size == 0:
        raise ValueError("x is empty; it needs an entry.")
    total = x.sum()
    return total, {"shares": x / total, "x": x}
    ### END SOLUTION


# %% tags=["check"]
gs.check("shares_forward")
'''

MISCONCEPTIONS = """
[[misconception]]
id = "nothing-accepted"
exercise = "shares_forward"
help = "An empty array is accepted."
old = "if x.size == 0:"
new = "if False:"

[[misconception]]
id = "shares-kept-to-itself"
exercise = "shares_forward"
help = "The cache lacks the shares."
old = '"shares": x / total, '
new = ""

[[misconception]]
id = "shares-of-the-largest"
exercise = "shares_forward"
help = "The shares are those of the largest entry."
old = "x / total"
new = "x / x.max()"

[[misconception]]
id = "total-is-the-mean"
exercise = "shares_forward"
help = "The mean is returned."
old = "return total,"
new = "return x.mean(),"
"""

X = np.array([1.0, 2.0, 5.0])
SHARES = X / X.sum()


@pytest.fixture
def namer(pack: Pack) -> Namer:
    stage = pack.stage("00_tiny")
    stage.lesson.write_text(stage.lesson.read_text() + LESSON)
    (stage.graders / "misconceptions.toml").write_text(MISCONCEPTIONS)
    return Namer(stage, KernelReplays(stage))


def name_of(namer: Namer, value: object) -> str | None:
    failed = Evidence(calls=[Call("shares_forward", (X,), {}, value=value)])
    return getattr(namer.name("shares_forward", [failed], [])[0], "id", None)


def test_an_entry_of_the_cache_that_the_docstring_promises_is_part_of_the_answer(namer: Namer) -> None:
    assert name_of(namer, (X.sum(), {"shares": X / 5.0})) == "shares-of-the-largest"
    assert name_of(namer, (X.sum(), {"shares": X})) is None


@pytest.mark.parametrize("other", [{"inputs": [X]}, {"x": 3}, {}])
def test_the_rest_of_a_cache_is_everyone_s_own(namer: Namer, other: dict) -> None:
    assert name_of(namer, (X.mean(), {"shares": SHARES, **other})) == "total-is-the-mean"


@pytest.mark.parametrize("cache", [{"x": X}, (X,), None])
def test_leaving_out_what_was_promised_has_a_name(namer: Namer, cache: object) -> None:
    assert name_of(namer, (X.sum(), cache)) == "shares-kept-to-itself"


@pytest.mark.parametrize("cache", [{"x": X}, (X,), None])
def test_leaving_out_what_was_promised_hides_no_other_mistake(namer: Namer, cache: object) -> None:
    assert name_of(namer, (X.mean(), cache)) == "total-is-the-mean"


def failed_on(namer: Namer, *values: object) -> str | None:
    """The name when `X` and nothing at all were answered with these values."""
    failed = [
        Evidence(calls=[Call("shares_forward", (x,), {}, value=value)])
        for x, value in zip((X, np.zeros(0)), values, strict=True)
    ]
    return getattr(namer.name("shares_forward", failed, [])[0], "id", None)


def test_a_forgotten_refusal_is_named_where_the_numbers_are_right(namer: Namer) -> None:
    failed = Evidence(
        calls=[Call("shares_forward", (np.zeros(0),), {}, value=(0.0, {"shares": np.zeros(0)}))]
    )
    found, whole = namer.name("shares_forward", [failed], [])
    assert found is not None
    assert (found.id, whole) == ("nothing-accepted", True)


def test_a_forgotten_refusal_hides_no_wrong_number(namer: Namer) -> None:
    nothing = 0.0, {"shares": np.zeros(0)}
    assert failed_on(namer, (X.mean(), {"shares": SHARES}), nothing) == "total-is-the-mean"


def test_a_forgotten_refusal_is_no_name_for_numbers_that_nobody_knows(namer: Namer) -> None:
    nothing = 0.0, {"shares": np.zeros(0)}
    assert failed_on(namer, (-3.0, {"shares": SHARES}), nothing) is None
