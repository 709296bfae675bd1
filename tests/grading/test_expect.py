"""A learner's wrong answer is refused in words that help and give nothing away."""

from __future__ import annotations

import numpy as np
import pytest

from gradschool.errors import CallFailed, CallTimeout
from gradschool.grading import Mismatch, expect_close, expect_equal, expect_raises, tolerance

WANT = np.array([[1.5, -2.25, 3.0], [4.0, 5.5, -6.75]])


def message_of(call, *args, **kwargs) -> str:
    with pytest.raises(Mismatch) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def test_an_equal_answer_passes() -> None:
    expect_close(WANT.copy(), WANT)
    expect_close(WANT.astype(np.float32), WANT, 1e-6)
    expect_close(2.0, np.float64(2.0))


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (None, "is None"),
        ([1.0, 2.0], "a list of 2"),
        (WANT.T.copy(), "It is transposed"),
        (WANT[None], "keepdims"),
        (WANT.astype(int), "floating-point"),
        (WANT.astype(object), "floating-point"),
        (np.where(WANT > 5, np.nan, WANT), "NaN"),
        (np.where(WANT > 5, np.inf, WANT), "infinite"),
        (-WANT, "negative"),
        (3 * WANT, "constant factor of 3"),
        (WANT / 6, "constant factor of 1/6"),
        (WANT + 1, "added everywhere"),
        (np.zeros_like(WANT), "Every value is zero"),
        (WANT[::-1].copy(), "backwards"),
    ],
)
def test_a_wrong_answer_is_described(got, words: str) -> None:
    assert words in message_of(expect_close, got, WANT, what="out")


def test_values_that_should_be_zero_and_are_not_point_at_the_mask() -> None:
    want = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    got = np.where(want == 0, 0.01, want)
    assert "only where the right answer is 0" in message_of(expect_close, got, want)


def test_no_message_holds_a_hidden_number() -> None:
    rng = np.random.default_rng(3)
    want = rng.standard_normal((5, 7))
    for got in (want + rng.standard_normal((5, 7)), -want, want * 2, np.zeros((5, 7))):
        text = message_of(expect_close, got, want)
        assert not any(f"{abs(value):.3f}"[:4] in text for value in want.ravel() if abs(value) > 0.1)


def test_nan_never_equals_nan_by_accident() -> None:
    nan = np.full((2, 3), np.nan)
    assert "NaN" in message_of(expect_close, nan, WANT)


def test_an_object_that_claims_equality_is_no_array() -> None:
    class Liar:
        def __eq__(self, other):
            return True

        def __hash__(self):
            return 0

    assert "Liar" in message_of(expect_close, Liar(), WANT)


def test_booleans_are_no_numbers() -> None:
    assert "int" in message_of(expect_equal, True, 1)
    expect_equal(np.int64(3), 3)
    assert "bool" in message_of(expect_equal, 1, True)


def test_containers_compare_by_structure() -> None:
    expect_equal({"w": WANT, "b": (1, "x")}, {"w": WANT.copy(), "b": (1, "x")})
    assert "keys w" in message_of(expect_equal, {"v": WANT}, {"w": WANT})
    assert "2 values" in message_of(expect_equal, (1, 2, 3), (1, 2))


def failing(error: Exception):
    def affine_forward(*args):
        raise error

    return affine_forward


def test_the_promised_exception_passes_and_others_are_named() -> None:
    expect_raises(
        failing(CallFailed("", exception_type="ValueError", exception_text="x has shape (3,)")), ValueError
    )
    wrong = failing(CallFailed("", exception_type="IndexError", exception_text="tuple index"))
    assert "IndexError" in message_of(expect_raises, wrong, ValueError)
    silent = failing(CallFailed("", exception_type="ValueError", exception_text=""))
    assert "without a message" in message_of(expect_raises, silent, ValueError)
    assert "accepted bad input" in message_of(expect_raises, lambda: np.zeros(3), ValueError)


def test_a_timeout_is_never_taken_for_the_promised_exception() -> None:
    with pytest.raises(CallTimeout):
        expect_raises(failing(CallTimeout("too slow")), ValueError)


@pytest.mark.parametrize("seed", range(5))
def test_float32_products_stay_inside_the_bound_and_float16_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((9, 65)), rng.standard_normal((65, 7))
    a32, b32 = a.astype(np.float32), b.astype(np.float32)
    exact = a32.astype(np.float64) @ b32.astype(np.float64)
    bound = tolerance.matmul(a32.astype(np.float64), b32.astype(np.float64))
    loops = np.zeros((9, 7), np.float32)
    for k in range(65):
        loops += a32[:, k : k + 1] * b32[k : k + 1]
    assert np.all(np.abs(loops - exact) <= bound)
    assert np.all(np.abs(a32 @ b32 - exact) <= bound)
    half = (a32.astype(np.float16) @ b32.astype(np.float16)).astype(np.float64)
    assert np.any(np.abs(half - exact) > 10 * bound)


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
def test_a_float32_softmax_stays_inside_the_bound_and_is_not_ten_times_below(spread: float) -> None:
    rng = np.random.default_rng(1)
    x = (spread * rng.standard_normal((40, 33))).astype(np.float32)
    e = np.exp(x - x.max(-1, keepdims=True))
    got = (e / e.sum(-1, keepdims=True)).astype(np.float64)
    x64 = x.astype(np.float64)
    want = np.exp(x64 - x64.max(-1, keepdims=True))
    want /= want.sum(-1, keepdims=True)
    share = np.abs(got - want) / tolerance.softmax(x64)
    assert 0.01 < share.max() <= 1
