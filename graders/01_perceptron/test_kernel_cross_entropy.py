"""Hidden tests of the cross-entropy kernels: numbers, extreme logits, ignored rows, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# (n_rows, n_classes): one, then odd sizes around workgroups of 32, 64 and 256 and far past them.
CASES = [(1, 1), (7, 2), (9, 10), (4, 33), (2, 63), (3, 64), (5, 65), (2, 257), (3, 515)]
# Columns of both parities, in the upper half of every usual workgroup and past its end.
LATE = [31, 41, 70, 141, 191, 259, 300]
SCALE = float(np.float32(0.37))


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def some_labels(rng, n_rows, n_classes):
    return rng.integers(0, n_classes, n_rows).astype(np.int32)


def logits_and_labels(rng, case):
    return 3 * normal(rng, *case), some_labels(rng, *case)


def edge_labels(rng):
    """First class, last class, and the classes on both sides of a workgroup's end."""
    return normal(rng, 6, 131), np.int32([0, 130, 63, 64, 1, 129])


def shifted_up(rng):
    return 100 + normal(rng, 3, 67), np.int32([66, 0, 30])


def shifted_down(rng):
    return normal(rng, 3, 67) - 200, np.int32([0, 66, 5])


def below_any_constant(rng):
    """Masks are often written as -1000 or -1e9; a real logit may lie below that."""
    logits = (-1e12 * rng.uniform(1, 2, (3, 67))).astype(np.float32)
    logits[1] = normal(rng, 67) - 3000
    return logits, np.int32([66, 0, 5])


def wide_spread(rng):
    """Most labels have a probability that no float32 can hold; their loss is an ordinary number."""
    return 1000 * normal(rng, 7, 131), some_labels(rng, 7, 131)


def rows_far_apart(rng):
    return normal(rng, 3, 67) + np.float32([[-1000], [1000], [0]]), np.int32([3, 66, 64])


def late_maximum(rng):
    logits = normal(rng, len(LATE), 301)
    logits[np.arange(len(LATE)), LATE] = 120
    return logits, np.int32([31, 3, 70, 299, 65, 259, 0])


EXTREMES = [
    edge_labels,
    shifted_up,
    shifted_down,
    below_any_constant,
    wide_spread,
    rows_far_apart,
    late_maximum,
]


def some_ignored(rng):
    labels = some_labels(rng, 9, 13)
    labels[[0, 4, 8]] = -1
    return 2 * normal(rng, 9, 13), labels


def many_classes_some_ignored(rng):
    return 2 * normal(rng, 4, 133), np.int32([-1, 0, 132, -1])


def all_ignored(rng):
    return normal(rng, 3, 67), np.full(3, -1, np.int32)


IGNORED = [some_ignored, many_classes_some_ignored, all_ignored]


@pytest.mark.exercise("cross_entropy_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cross_entropy_forward_kernel_numbers(kernel, reference, rng, case):
    expect_losses(kernel, reference, *logits_and_labels(rng, case))


@pytest.mark.exercise("cross_entropy_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("arrays", EXTREMES)
def test_cross_entropy_forward_kernel_is_stable(kernel, reference, rng, arrays):
    expect_losses(kernel, reference, *arrays(rng))


@pytest.mark.exercise("cross_entropy_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("arrays", IGNORED)
def test_cross_entropy_forward_kernel_gives_zero_to_ignored_rows(kernel, reference, rng, arrays):
    expect_losses(kernel, reference, *arrays(rng))


@pytest.mark.exercise("cross_entropy_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5), (2, 133)], ids=str)
def test_cross_entropy_forward_kernel_is_safe(kernel, rng, case):
    logits, labels = logits_and_labels(rng, case)
    labels[0] = -1
    kernel.safety("cross_entropy_forward.wgsl", logits=logits, labels=labels)


@pytest.mark.exercise("cross_entropy_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cross_entropy_backward_kernel_numbers(kernel, reference, rng, case):
    expect_gradient(kernel, reference, *logits_and_labels(rng, case))


@pytest.mark.exercise("cross_entropy_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("arrays", EXTREMES)
def test_cross_entropy_backward_kernel_is_stable(kernel, reference, rng, arrays):
    expect_gradient(kernel, reference, *arrays(rng))


@pytest.mark.exercise("cross_entropy_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("arrays", IGNORED)
def test_cross_entropy_backward_kernel_gives_zero_to_ignored_rows(kernel, reference, rng, arrays):
    expect_gradient(kernel, reference, *arrays(rng))


@pytest.mark.exercise("cross_entropy_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 5), (2, 133)], ids=str)
def test_cross_entropy_backward_kernel_is_safe(kernel, rng, case):
    logits, labels = logits_and_labels(rng, case)
    labels[0] = -1
    kernel.safety("cross_entropy_backward.wgsl", logits=logits, labels=labels, scale=SCALE)


def expect_losses(kernel, reference, logits, labels):
    got = kernel("cross_entropy_forward.wgsl", logits=logits, labels=labels)
    logits = logits.astype(np.float64)
    # The reference averages; one row at a time, its mean is the row's own loss.
    rows = [
        reference.cross_entropy_forward(logits[r : r + 1], labels[r : r + 1])[0] for r in range(len(labels))
    ]
    want = np.array(rows)
    expect_close(got, want, losses_tolerance(logits, labels, want), what="losses")


def losses_tolerance(logits, labels, losses):
    """Bound the error of max + log(sum exp(logit - max)) - logits[label], in any grouping.

    WGSL lets exp(d) err by 3 + 2|d| units in the last place, relative u(6 + 4|d|), and d itself by
    u|d|; weighted by the share p of each term this is the relative error of the sum, beside
    u 4 sqrt(n) of the additions. The logarithm makes it absolute and adds its own 2**-21 = 8u, or
    3 units in the last place. Sums and differences of max, log and label round by u times their size.
    """
    d = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(d)
    total = p.sum(axis=-1)
    spread = (p * -d).sum(axis=-1) / total
    label_size = np.abs(logits[np.arange(len(labels)), labels])
    size = np.abs(logits.max(axis=-1)) + 8 * np.log(total) + label_size + np.abs(losses)
    bound = 16 + 4 * np.sqrt(logits.shape[-1]) + 5 * spread + 2 * size
    return np.where(labels < 0, 0.0, tolerance.U32 * bound)


def expect_gradient(kernel, reference, logits, labels):
    got = kernel("cross_entropy_backward.wgsl", logits=logits, labels=labels, scale=SCALE)
    logits = logits.astype(np.float64)
    n_counted = max(int((labels >= 0).sum()), 1)
    _, cache = reference.cross_entropy_forward(logits, labels)
    want = reference.cross_entropy_backward(SCALE * n_counted, cache)
    # The probability errs like any softmax; the difference and the product round once or twice each.
    tol = SCALE * tolerance.softmax(logits) + tolerance.elementwise(want, 4)
    expect_close(got, want, np.where(labels[:, None] < 0, 0.0, tol), what="dlogits")
