"""Hidden tests of the pooling kernels: numbers, ties, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n, c, h, w, size, stride: one, then odd sizes on both sides of 8 and 16; windows that overlap, touch,
# stand apart, cover all, and leave pixels out.
CASES = [
    (1, 1, 1, 1, (1, 1), (1, 1)),
    (2, 3, 9, 13, (3, 2), (2, 3)),
    (1, 2, 19, 5, (2, 2), (2, 2)),
    (3, 1, 5, 20, (3, 3), (1, 1)),
    (1, 5, 4, 9, (4, 9), (1, 1)),
    (2, 2, 7, 10, (1, 2), (3, 4)),
]
SAFE = [(2, 3, 7, 21, (3, 2), (2, 2)), (1, 2, 19, 6, (2, 3), (1, 2))]


def _normal(rng, case):
    return rng.standard_normal(case[:4]).astype(np.float32)


def _ties(rng, case):
    """Negative whole numbers, most of them equal."""
    return rng.integers(-2, 0, case[:4]).astype(np.float32)


def _sizes(case):
    *_, (size_h, size_w), (stride_h, stride_w) = case
    return {"size_h": size_h, "size_w": size_w, "stride_h": stride_h, "stride_w": stride_w}


def _places(case):
    _, _, h, w, size, stride = case
    return tuple((length - k) // step + 1 for length, k, step in zip((h, w), size, stride, strict=True))


def _winners(x, case):
    """Where each maximum stands in its channel, row by row; of equal ones the first."""
    n, c, _, w, (size_h, size_w), (stride_h, stride_w) = case
    h_out, w_out = _places(case)
    winner = np.empty((n, c, h_out, w_out), np.uint32)
    for r, s in np.ndindex(h_out, w_out):
        top, left = r * stride_h, s * stride_w
        window = x[:, :, top : top + size_h, left : left + size_w].reshape(n, c, -1)
        i, j = np.divmod(window.argmax(axis=-1), size_w)
        winner[:, :, r, s] = (top + i) * w + left + j
    return winner


def _forward(kernel, file, case, x):
    h_out, w_out = _places(case)
    return kernel(file, x=x, h_out=h_out, w_out=w_out, **_sizes(case))


def _backward(kernel, case, dout, winner):
    h, w = case[2:4]
    return kernel("max_pool_backward.wgsl", dout=dout, winner=winner, h_in=h, w_in=w, **_sizes(case))


@pytest.mark.exercise("max_pool_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("draw", [_normal, _ties], ids=["numbers", "ties"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_max_pool_forward_kernel_numbers(kernel, reference, rng, case, draw):
    x = draw(rng, case)
    got = _forward(kernel, "max_pool_forward.wgsl", case, x)
    want, _ = reference.max_pool_forward(x.astype(np.float64), *case[4:])
    expect_close(got["out"], want, tolerance.exact(), what="out")
    expect_close(got["winner"], _winners(x, case), tolerance.exact(), what="winner", dtype=np.uint32)


@pytest.mark.exercise("max_pool_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_max_pool_forward_kernel_is_safe(kernel, rng, case):
    _forward(kernel.safety, "max_pool_forward.wgsl", case, _normal(rng, case))


@pytest.mark.exercise("max_pool_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", [*CASES, (2, 2, 19, 9, (3, 2), (3, 1))], ids=str)
def test_max_pool_backward_kernel_numbers(kernel, reference, rng, case):
    # Of ties the first wins, so the single window over a whole map takes numbers: its maximum can be anywhere.
    whole = case[2:4] == case[4]
    x = _normal(rng, case) if whole else _ties(rng, case)
    out, cache = reference.max_pool_forward(x, *case[4:])
    dout = rng.standard_normal(out.shape).astype(np.float32)
    got = _backward(kernel, case, dout, _winners(x, case))
    want = reference.max_pool_backward(dout.astype(np.float64), cache)
    # At most size_h * size_w windows meet in one pixel.
    size = reference.max_pool_backward(np.abs(dout).astype(np.float64), cache)
    expect_close(got, want, tolerance.elementwise(size, case[4][0] * case[4][1]), what="dx")


@pytest.mark.exercise("max_pool_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_max_pool_backward_kernel_is_safe(kernel, rng, case):
    winner = _winners(_normal(rng, case), case)
    _backward(kernel.safety, case, rng.standard_normal(winner.shape).astype(np.float32), winner)


@pytest.mark.exercise("avg_pool_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_avg_pool_forward_kernel_numbers(kernel, reference, rng, case):
    x = _normal(rng, case) + np.float32(1)
    got = _forward(kernel, "avg_pool_forward.wgsl", case, x)
    want, _ = reference.avg_pool_forward(x.astype(np.float64), *case[4:])
    size, _ = reference.avg_pool_forward(np.abs(x).astype(np.float64), *case[4:])
    expect_close(got, want, tolerance.elementwise(size, case[4][0] * case[4][1] + 4), what="out")


@pytest.mark.exercise("avg_pool_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_avg_pool_forward_kernel_is_safe(kernel, rng, case):
    _forward(kernel.safety, "avg_pool_forward.wgsl", case, _normal(rng, case))
