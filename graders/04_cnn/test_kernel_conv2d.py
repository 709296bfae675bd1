"""Hidden tests of the three convolution kernels: numbers, exact probes, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n, c_in, h, w, c_out, kh, kw, stride, padding: one, then odd sizes on both sides of 8, 16 and 64,
# strides that leave pixels out, padding wider than the filter's reach.
CASES = [
    (1, 1, 1, 1, 1, 1, 1, (1, 1), (0, 0)),
    (2, 3, 9, 13, 5, 3, 2, (2, 1), (1, 0)),
    (1, 2, 17, 5, 3, 3, 3, (1, 1), (1, 1)),
    (3, 1, 5, 20, 2, 1, 4, (1, 3), (0, 1)),
    (2, 2, 6, 9, 4, 2, 3, (3, 2), (2, 3)),
    (2, 4, 8, 7, 1, 3, 3, (3, 3), (0, 0)),
    (1, 2, 3, 4, 3, 5, 4, (2, 1), (3, 2)),
]
SAFE = [(2, 2, 5, 10, 3, 3, 2, (2, 1), (1, 0)), (1, 3, 9, 6, 2, 2, 3, (1, 2), (0, 2))]


def _normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def _whole(rng, *shape):
    """Whole numbers whose sums are exact in float32 in every order; half precision cannot hold them."""
    return rng.integers(-8191, 8192, shape).astype(np.float32)


def _signs(rng, *shape):
    return rng.integers(-1, 2, shape).astype(np.float32)


def _sizes(case):
    """The params that the host works out."""
    _, _, h, w, _, kh, kw, (stride_h, stride_w), (pad_h, pad_w) = case
    h_out, w_out = (h + 2 * pad_h - kh) // stride_h + 1, (w + 2 * pad_w - kw) // stride_w + 1
    given = {"stride_h": stride_h, "stride_w": stride_w, "pad_h": pad_h, "pad_w": pad_w}
    return given, h_out, w_out


def _arrays(rng, case, first=_normal, second=_normal, third=_normal):
    """Pictures, filters, biases and a gradient of the maps."""
    n, c_in, h, w, c_out, kh, kw, _, _ = case
    _, h_out, w_out = _sizes(case)
    return (
        first(rng, n, c_in, h, w),
        second(rng, c_out, c_in, kh, kw),
        10 * first(rng, c_out),
        third(rng, n, c_out, h_out, w_out),
    )


def _reference(reference, case, x, w, b, dout):
    """Maps and gradients in float64."""
    x, w, b, dout = (value.astype(np.float64) for value in (x, w, b, dout))
    out, cache = reference.conv2d_forward(x, w, b, *case[-2:])
    return out, *reference.conv2d_backward(dout, cache)[:2]


def _bounds(reference, case, arrays):
    """Roundings of each sum: its length times the sum of absolute values; see `tolerance.matmul`."""
    n, c_in, _, _, c_out, kh, kw, _, _ = case
    _, h_out, w_out = _sizes(case)
    lengths = (c_in * kh * kw + 1, c_out * kh * kw, n * h_out * w_out)
    sizes = _reference(reference, case, *(np.abs(value) for value in arrays))
    return [
        tolerance.U32 * min(k + 3, 4 * k**0.5 + 4) * size + tolerance.TINY32
        for k, size in zip(lengths, sizes, strict=True)
    ]


def _forward(kernel, case, x, w, b):
    given, h_out, w_out = _sizes(case)
    return kernel("conv2d_forward.wgsl", x=x, w=w, b=b, h_out=h_out, w_out=w_out, **given)


def _backward_input(kernel, case, w, dout):
    return kernel("conv2d_backward_input.wgsl", dout=dout, w=w, h_in=case[2], w_in=case[3], **_sizes(case)[0])


def _backward_weight(kernel, case, x, dout):
    return kernel("conv2d_backward_weight.wgsl", x=x, dout=dout, kh=case[5], kw=case[6], **_sizes(case)[0])


@pytest.mark.exercise("conv2d_forward.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv2d_forward_kernel_numbers(kernel, reference, rng, case):
    arrays = _arrays(rng, case)
    got = _forward(kernel, case, *arrays[:3])
    expect_close(
        got, _reference(reference, case, *arrays)[0], _bounds(reference, case, arrays)[0], what="out"
    )


@pytest.mark.exercise("conv2d_forward.wgsl")
@pytest.mark.points(1)
def test_conv2d_forward_kernel_is_exact_on_whole_numbers(kernel, reference, rng):
    arrays = _arrays(rng, CASES[1], _whole, _signs)
    got = _forward(kernel, CASES[1], *arrays[:3])
    expect_close(got, _reference(reference, CASES[1], *arrays)[0], tolerance.exact(), what="out")


@pytest.mark.exercise("conv2d_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_conv2d_forward_kernel_is_safe(kernel, rng, case):
    _forward(kernel.safety, case, *_arrays(rng, case)[:3])


@pytest.mark.exercise("conv2d_backward_input.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv2d_backward_input_kernel_numbers(kernel, reference, rng, case):
    arrays = _arrays(rng, case)
    got = _backward_input(kernel, case, arrays[1], arrays[3])
    expect_close(got, _reference(reference, case, *arrays)[1], _bounds(reference, case, arrays)[1], what="dx")


@pytest.mark.exercise("conv2d_backward_input.wgsl")
@pytest.mark.points(1)
def test_conv2d_backward_input_kernel_is_exact_on_whole_numbers(kernel, reference, rng):
    arrays = _arrays(rng, CASES[1], _whole, _signs, _whole)
    got = _backward_input(kernel, CASES[1], arrays[1], arrays[3])
    expect_close(got, _reference(reference, CASES[1], *arrays)[1], tolerance.exact(), what="dx")


@pytest.mark.exercise("conv2d_backward_input.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_conv2d_backward_input_kernel_is_safe(kernel, rng, case):
    _, w, _, dout = _arrays(rng, case)
    _backward_input(kernel.safety, case, w, dout)


@pytest.mark.exercise("conv2d_backward_weight.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", [*CASES, (2, 1, 13, 11, 2, 2, 3, (1, 1), (0, 1))], ids=str)
def test_conv2d_backward_weight_kernel_numbers(kernel, reference, rng, case):
    arrays = _arrays(rng, case)
    got = _backward_weight(kernel, case, arrays[0], arrays[3])
    expect_close(got, _reference(reference, case, *arrays)[2], _bounds(reference, case, arrays)[2], what="dw")


@pytest.mark.exercise("conv2d_backward_weight.wgsl")
@pytest.mark.points(1)
def test_conv2d_backward_weight_kernel_is_exact_on_whole_numbers(kernel, reference, rng):
    arrays = _arrays(rng, CASES[1], _whole, _signs, _signs)
    got = _backward_weight(kernel, CASES[1], arrays[0], arrays[3])
    expect_close(got, _reference(reference, CASES[1], *arrays)[2], tolerance.exact(), what="dw")


@pytest.mark.exercise("conv2d_backward_weight.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", SAFE, ids=str)
def test_conv2d_backward_weight_kernel_is_safe(kernel, rng, case):
    x, _, _, dout = _arrays(rng, case)
    _backward_weight(kernel.safety, case, x, dout)
