"""Right values in wrong places are told from wrong values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gradschool.grading.mixed_up import mixed_up
from gradschool.grading.options import GradeOptions
from gradschool.grading.session import GradingSession
from gradschool.pack import Pack

DQ, DK, X = (np.random.default_rng(seed).standard_normal((3, 4)) for seed in range(3))


@pytest.mark.parametrize(
    ("got", "words"),
    [
        ((DK, DQ), "Where dq belongs, dk is returned: check the order of the values."),
        ((DK, DK), "Where dq belongs, dk is returned: check the order of the values."),
        ((DQ, X), "dk is the input x, as it came."),
        ((DQ, DK), ""),
        ((DQ + 1, DK), ""),
        ((DQ,), ""),
        ((np.zeros((3, 4)), DK), ""),
        ((None, "text"), ""),
    ],
)
def test_values_in_others_places_are_recognised(got, words: str) -> None:
    assert mixed_up(got, (DQ, DK), ("dq", "dk"), [("x", X)]) == words


def test_a_right_value_that_equals_an_input_is_no_mistake() -> None:
    assert mixed_up((DK, X), (DQ, X), ("dx", "d_skip"), [("dout", X)]) == ""


def test_masks_are_compared_as_well() -> None:
    one, two = np.array([True, False]), np.array([False, True])
    assert "check the order" in mixed_up((two, one), (one, two), ("kept", "dropped"), [("mask", one)])


def test_single_numbers_say_nothing() -> None:
    one, two = np.ones(1), np.full(1, 2.0)
    assert mixed_up((two, one), (one, two), ("a", "b"), []) == ""


@pytest.fixture
def session(pack: Pack) -> Iterator[GradingSession]:
    with GradingSession(pack, options=GradeOptions(seed=7, device="interpreter")) as opened:
        yield opened


def message_of(session: GradingSession, folder, exercise: str) -> str:
    record = session.grade("ada", "00_tiny", folder)
    return next(item.message for item in record.exercises if item.id == exercise)


def test_a_function_that_hands_its_input_back_is_told_so(session: GradingSession, submit) -> None:
    message = message_of(session, submit("ada", {"halve": "def halve(x):\n    return x.copy()"}), "halve")
    # What the solution calls it is nobody's business.
    assert message.endswith("the result is the input x, as it came.")


def test_a_kernel_that_copies_its_input_is_told_so(session: GradingSession, submit, stage) -> None:
    text = (stage.shaders / "scale_shift.wgsl").read_text()
    copies = text.replace("params.alpha * x[i] + params.beta", "x[i]")
    assert copies != text
    message = message_of(session, submit("ada", kernel=copies), "scale_shift.wgsl")
    assert message.endswith("out is the input x, as it came.")
