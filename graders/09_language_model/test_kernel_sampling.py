"""Hidden tests of the kernels that choose: the largest score of a row, and the k largest."""

import numpy as np
import pytest

from gradschool.grading import expect_close

# (n_rows, n_cols): one, then odd sizes around workgroups of 32, 64 and 256 and far past them.
CASES = [(1, 1), (7, 2), (4, 33), (2, 63), (3, 64), (5, 65), (2, 257), (3, 515)]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def _coarse(rng, *shape):
    """Scores with many equal ones."""
    return np.round(2 * normal(rng, *shape)).astype(np.float32) / np.float32(2)


def _expect_argmax(kernel, logits):
    got = kernel("argmax_row.wgsl", logits=logits)
    expect_close(got, logits.argmax(axis=1).astype(np.int32), 0.0, what="out")


@pytest.mark.exercise("argmax_row.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_argmax_kernel_finds_the_column(kernel, rng, case):
    _expect_argmax(kernel, normal(rng, *case))


@pytest.mark.exercise("argmax_row.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [*CASES, (40, 70), (12, 300)], ids=str)
def test_argmax_kernel_takes_the_first_of_equal_scores(kernel, rng, case):
    _expect_argmax(kernel, np.minimum(_coarse(rng, *case), 1))


def negative(rng):
    return -1000 - normal(rng, 4, 131) ** 2


def far_below(rng):
    return np.float32(-3e38) + np.float32(1e37) * normal(rng, 4, 131) ** 2


def mostly_impossible(rng):
    x = np.full((4, 139), -np.inf, np.float32)
    x[[0, 1, 2], [138, 66, 1]] = [-5, -3.4e38, 0]
    return x  # the last row holds nothing else


def all_equal(rng):
    return np.broadcast_to(normal(rng, 5, 1), (5, 200)).copy()


def every_column_once(rng):
    """The maximum in each lane of every usual workgroup, and past its end."""
    x = normal(rng, 259, 259)
    np.fill_diagonal(x, 9)
    return x


def two_maxima(rng):
    """The same largest score twice: once early and once late, in all orders of lanes."""
    x = normal(rng, 6, 301)
    for row, columns in zip(x, [(5, 68), (68, 133), (3, 259), (64, 128), (70, 71), (33, 96)], strict=True):
        row[list(columns)] = 9
    return x


@pytest.mark.exercise("argmax_row.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize(
    "scores", [negative, far_below, mostly_impossible, all_equal, every_column_once, two_maxima]
)
def test_argmax_kernel_in_extreme_rows(kernel, rng, scores):
    _expect_argmax(kernel, scores(rng).astype(np.float32))


@pytest.mark.exercise("argmax_row.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5), (2, 133)], ids=str)
def test_argmax_kernel_is_safe(kernel, rng, case):
    kernel.safety("argmax_row.wgsl", logits=normal(rng, *case))


def _expect_masked(kernel, logits, k):
    kept = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    want = np.full_like(logits, -np.inf)
    np.put_along_axis(want, kept, np.take_along_axis(logits, kept, axis=1), axis=1)
    expect_close(kernel("top_k_mask.wgsl", logits=logits, k=k), want, 0.0, what="out")


@pytest.mark.exercise("top_k_mask.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [(1, 1), (7, 2), (4, 33), (3, 64), (5, 65), (2, 70)], ids=str)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_mask_kernel_keeps_the_k_largest(kernel, rng, case, share):
    _expect_masked(kernel, normal(rng, *case), max(1, int(share * case[1])))


@pytest.mark.exercise("top_k_mask.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("k", [1, 2, 7, 20, 41, 42, 43, 1000])
def test_mask_kernel_keeps_exactly_k_of_equal_scores(kernel, rng, k):
    logits = _coarse(rng, 5, 42)
    logits[1] = 0.5
    _expect_masked(kernel, logits, k)


@pytest.mark.exercise("top_k_mask.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("k", [1, 3, 30])
def test_mask_kernel_in_extreme_rows(kernel, rng, k):
    logits = normal(rng, 4, 37)
    logits[0] -= 1000
    logits[1] = np.float32(-3e38) + np.float32(1e36) * logits[1]
    logits[2, rng.random(37) < 0.8] = -np.inf
    logits[3, :] = np.sort(logits[3])
    _expect_masked(kernel, logits, k)


@pytest.mark.exercise("top_k_mask.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5), (9, 67)], ids=str)
def test_mask_kernel_is_safe(kernel, rng, case):
    kernel.safety("top_k_mask.wgsl", logits=normal(rng, *case), k=3)
