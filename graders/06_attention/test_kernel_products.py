"""Hidden tests of the six matrix products of attention: numbers, exact sums, safety.

Each kernel is a product of two stacks of matrices, one of them perhaps transposed and the
whole perhaps divided by sqrt(d_head). The tests are the same for all six.
"""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n_batch, n_queries, n_keys, width (d_head or d_v): one, all different, around a workgroup's 8 and 16, longer.
CASES = [
    (1, 1, 1, 1),
    (2, 5, 7, 3),
    (3, 7, 2, 9),
    (2, 8, 8, 8),
    (1, 17, 9, 15),
    (4, 1, 33, 2),
    (2, 35, 3, 4),
    (1, 2, 6, 67),
]


def shapes(n_batch, n_queries, n_keys, width):
    return {
        "q": (n_batch, n_queries, width),
        "k": (n_batch, n_keys, width),
        "v": (n_batch, n_keys, width),
        "dout": (n_batch, n_queries, width),
        "attn": (n_batch, n_queries, n_keys),
        "dscores": (n_batch, n_queries, n_keys),
    }


def turned(x):
    return x.swapaxes(-1, -2)


def straight(x):
    return x


# The two inputs, how each enters the product, the output, and whether it is divided by sqrt(d_head).
PRODUCTS = {
    "attention_scores": (("q", straight), ("k", turned), "scores", True),
    "attention_output": (("attn", straight), ("v", straight), "out", False),
    "attention_backward_attn": (("dout", straight), ("v", turned), "dattn", False),
    "attention_backward_q": (("dscores", straight), ("k", straight), "dq", True),
    "attention_backward_k": (("dscores", turned), ("q", straight), "dk", True),
    "attention_backward_v": (("attn", turned), ("dout", straight), "dv", False),
}


def normal(rng, shape):
    return rng.standard_normal(shape).astype(np.float32)


def whole_numbers(rng, shape):
    return rng.integers(-1023, 1024, shape).astype(np.float32)


def arrays(name, case, make, rng):
    (a, _), (b, _), _, _ = PRODUCTS[name]
    return {a: make(rng, shapes(*case)[a]), b: make(rng, shapes(*case)[b])}


def expect_product(kernel, name, case, values, exact=False):
    (a, turn_a), (b, turn_b), out, scaled = PRODUCTS[name]
    left, right = turn_a(values[a].astype(np.float64)), turn_b(values[b].astype(np.float64))
    scale = 1 / np.sqrt(case[3]) if scaled else 1.0
    want = scale * (left @ right)
    # A product scaled term by term rounds once more per term; the root and the division round as well.
    tol = scale * tolerance.matmul(left, right, extra=5) + 4 * tolerance.U32 * np.abs(want)
    got = kernel(f"{name}.wgsl", **values)
    if exact:
        # The sum is exact, but a division by a root is not, for the sum or for each of its terms.
        tol = 4 * tolerance.U32 * scale * (np.abs(left) @ np.abs(right)) if scaled else tolerance.exact()
    expect_close(got, want, tol, what=out)


def check_numbers(kernel, rng, name, case):
    expect_product(kernel, name, case, arrays(name, case, normal, rng))


def check_exact(kernel, rng, name):
    """Whole numbers: every order of float32 sums gives the same bits, and half precision gives others."""
    case = (2, 5, 7, 3)
    expect_product(kernel, name, case, arrays(name, case, whole_numbers, rng), exact=True)


def check_safety(kernel, rng, name, case):
    kernel.safety(f"{name}.wgsl", **arrays(name, case, normal, rng))


# The last one takes two tiles of 32 along each axis: what races between two tiles shows.
SAFE = [(2, 5, 7, 3), (3, 9, 2, 10), (1, 33, 34, 35)]


@pytest.mark.exercise("attention_scores.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_scores_kernel_numbers(kernel, rng, case):
    check_numbers(kernel, rng, "attention_scores", case)


@pytest.mark.exercise("attention_scores.wgsl")
@pytest.mark.points(1)
def test_scores_kernel_sums_in_full_precision(kernel, rng):
    check_exact(kernel, rng, "attention_scores")


@pytest.mark.exercise("attention_scores.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_scores_kernel_is_safe(kernel, rng, case):
    check_safety(kernel, rng, "attention_scores", case)


@pytest.mark.exercise("attention_output.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_output_kernel_numbers(kernel, rng, case):
    check_numbers(kernel, rng, "attention_output", case)


@pytest.mark.exercise("attention_output.wgsl")
@pytest.mark.points(1)
def test_output_kernel_sums_in_full_precision(kernel, rng):
    check_exact(kernel, rng, "attention_output")


@pytest.mark.exercise("attention_output.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_output_kernel_is_safe(kernel, rng, case):
    check_safety(kernel, rng, "attention_output", case)


@pytest.mark.exercise("attention_backward_attn.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dattn_kernel_numbers(kernel, rng, case):
    check_numbers(kernel, rng, "attention_backward_attn", case)


@pytest.mark.exercise("attention_backward_attn.wgsl")
@pytest.mark.points(1)
def test_dattn_kernel_sums_in_full_precision(kernel, rng):
    check_exact(kernel, rng, "attention_backward_attn")


@pytest.mark.exercise("attention_backward_attn.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_dattn_kernel_is_safe(kernel, rng, case):
    check_safety(kernel, rng, "attention_backward_attn", case)


@pytest.mark.exercise("attention_backward_q.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dq_kernel_numbers(kernel, rng, case):
    check_numbers(kernel, rng, "attention_backward_q", case)


@pytest.mark.exercise("attention_backward_q.wgsl")
@pytest.mark.points(1)
def test_dq_kernel_sums_in_full_precision(kernel, rng):
    check_exact(kernel, rng, "attention_backward_q")


@pytest.mark.exercise("attention_backward_q.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_dq_kernel_is_safe(kernel, rng, case):
    check_safety(kernel, rng, "attention_backward_q", case)


@pytest.mark.exercise("attention_backward_k.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dk_kernel_numbers(kernel, rng, case):
    check_numbers(kernel, rng, "attention_backward_k", case)


@pytest.mark.exercise("attention_backward_k.wgsl")
@pytest.mark.points(1)
def test_dk_kernel_sums_in_full_precision(kernel, rng):
    check_exact(kernel, rng, "attention_backward_k")


@pytest.mark.exercise("attention_backward_k.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_dk_kernel_is_safe(kernel, rng, case):
    check_safety(kernel, rng, "attention_backward_k", case)


@pytest.mark.exercise("attention_backward_v.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_dv_kernel_numbers(kernel, rng, case):
    check_numbers(kernel, rng, "attention_backward_v", case)


@pytest.mark.exercise("attention_backward_v.wgsl")
@pytest.mark.points(1)
def test_dv_kernel_sums_in_full_precision(kernel, rng):
    check_exact(kernel, rng, "attention_backward_v")


@pytest.mark.exercise("attention_backward_v.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_dv_kernel_is_safe(kernel, rng, case):
    check_safety(kernel, rng, "attention_backward_v", case)
