"""Hidden tests of the softmax kernels: numbers, extreme scores, impossible columns, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# (n_rows, n_cols): one, then odd sizes around workgroups of 32, 64 and 256 and far past them.
CASES = [(1, 1), (7, 2), (4, 33), (2, 63), (3, 64), (5, 65), (2, 257), (3, 515)]


# Columns of both parities, in the upper half of every usual workgroup and past its end.
LATE = [31, 41, 70, 141, 191, 259, 300]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.exercise("softmax_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_softmax_forward_kernel_numbers(kernel, reference, rng, case):
    x = 3 * normal(rng, *case)
    expect_softmax(kernel, reference, x)


def shifted_up(rng):
    return 100 + normal(rng, 3, 67)


def shifted_down(rng):
    return normal(rng, 3, 67) - 200


def below_any_constant(rng):
    """Masks are often written as -1000 or -1e9; a real score may lie below that."""
    x = (-1e12 * rng.uniform(1, 2, (3, 67))).astype(np.float32)
    x[1] = normal(rng, 67) - 3000
    return x


def wide_spread(rng):
    return 1000 * normal(rng, 4, 131)


def constant_rows(rng):
    return np.broadcast_to(100 * normal(rng, 3, 1), (3, 77)).copy()


def rows_far_apart(rng):
    return normal(rng, 3, 67) + np.float32([[-1000], [1000], [0]])


def late_maximum(rng):
    """The maximum lies past any one workgroup's first columns, and by more than exp can bear."""
    x = normal(rng, len(LATE), 301)
    x[np.arange(len(LATE)), LATE] = 120
    return x


EXTREMES = [
    shifted_up,
    shifted_down,
    below_any_constant,
    wide_spread,
    constant_rows,
    rows_far_apart,
    late_maximum,
]


@pytest.mark.exercise("softmax_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("scores", EXTREMES)
def test_softmax_forward_kernel_is_stable(kernel, reference, rng, scores):
    expect_softmax(kernel, reference, scores(rng))


def some_impossible(rng):
    x = normal(rng, 6, 131)
    x[rng.random(x.shape) < 0.5] = -np.inf
    x[:, 7] = 0
    return x


def first_impossible(rng):
    x = normal(rng, 3, 35)
    x[:, 0] = -np.inf
    return x


def only_late_columns_possible(rng):
    """Whole workgroups of columns are impossible before the first possible one comes."""
    x = normal(rng, 3, 269)
    x[0, :70] = x[1, :259] = x[2, :-1] = -np.inf
    return x


@pytest.mark.exercise("softmax_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("scores", [some_impossible, first_impossible, only_late_columns_possible])
def test_softmax_forward_kernel_gives_zero_to_impossible_columns(kernel, reference, rng, scores):
    expect_softmax(kernel, reference, scores(rng))


@pytest.mark.exercise("softmax_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5), (2, 133)], ids=str)
def test_softmax_forward_kernel_is_safe(kernel, rng, case):
    kernel.safety("softmax_forward.wgsl", x=normal(rng, *case))


def expect_softmax(kernel, reference, x):
    got = kernel("softmax_forward.wgsl", x=x)
    x64 = x.astype(np.float64)
    expect_close(got, reference.softmax_forward(x64), tolerance.softmax(x64), what="out")


@pytest.mark.exercise("softmax_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_softmax_backward_kernel_numbers(kernel, reference, rng, case):
    out = reference.softmax_forward(2 * normal(rng, *case))
    expect_gradient(kernel, reference, normal(rng, *case), out)


def far_from_zero(rng, reference):
    """Only differences of dout matter, however large what they have in common."""
    return 1000 + normal(rng, 3, 77), reference.softmax_forward(normal(rng, 3, 77))


def certain_rows(rng, reference):
    """One column has all the probability: nothing can grow, the gradient is 0."""
    out = np.zeros((4, 139), np.float32)
    out[np.arange(4), [0, 20, 70, 138]] = 1
    return normal(rng, 4, 139), out


def one_late_column(rng, reference):
    """What the gradient depends on lies past the first workgroup's columns."""
    dout = np.zeros((len(LATE), 301), np.float32)
    dout[np.arange(len(LATE)), LATE] = 1
    return dout, reference.softmax_forward(normal(rng, *dout.shape))


@pytest.mark.exercise("softmax_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("arrays", [far_from_zero, certain_rows, one_late_column])
def test_softmax_backward_kernel_in_extreme_rows(kernel, reference, rng, arrays):
    expect_gradient(kernel, reference, *arrays(rng, reference))


@pytest.mark.exercise("softmax_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 67), (2, 261)], ids=str)
def test_softmax_backward_kernel_is_exact_on_binary_fractions(kernel, reference, rng, case):
    dout = rng.integers(-1023, 1024, case).astype(np.float32)
    out = np.zeros(case, np.float32)
    # 64 columns share the probability: every product, sum and difference is exact in float32.
    for row in out:
        row[rng.choice(case[1], 64, replace=False)] = 1 / 64
    got = kernel("softmax_backward.wgsl", dout=dout, out=out)
    want = reference.softmax_backward(dout.astype(np.float64), out.astype(np.float64))
    expect_close(got, want, tolerance.exact(), what="dx")


@pytest.mark.exercise("softmax_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5), (2, 133)], ids=str)
def test_softmax_backward_kernel_is_safe(kernel, reference, rng, case):
    out = reference.softmax_forward(normal(rng, *case))
    kernel.safety("softmax_backward.wgsl", dout=normal(rng, *case), out=out)


def expect_gradient(kernel, reference, dout, out):
    got = kernel("softmax_backward.wgsl", dout=dout, out=out)
    dout, out = dout.astype(np.float64), out.astype(np.float64)
    # The inner product errs like a matmul of its row; then one difference and one or two products
    # round, each by u times what enters it (written as out * dout - out * inner, both terms round).
    products = dout * out
    inner = np.abs(products.sum(axis=-1, keepdims=True))
    tol = out * (
        tolerance.summation(products)[:, None]
        + 2 * tolerance.U32 * np.abs(products).sum(axis=-1, keepdims=True)
        + 3 * tolerance.U32 * (np.abs(dout) + inner)
    )
    expect_close(got, reference.softmax_backward(dout, out), tol + tolerance.TINY32, what="dx")
