"""Hidden tests of the batch norm kernels: numbers, extreme channels, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n, c, h, w: one value, then channels of 63, 64, 65, 140 and 525 values, none of them in one piece.
CASES = [(1, 1, 1, 1), (2, 3, 1, 2), (7, 2, 3, 3), (4, 3, 8, 2), (13, 2, 5, 1), (5, 3, 4, 7), (3, 2, 25, 7)]
# Large enough that leaving it out, or adding it elsewhere, shows in channels of every spread.
EPS = 1e-2
U = tolerance.U32


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def over(value):
    """A number per channel, against (n, c, h, w)."""
    return value[:, None, None]


def expect_forward(kernel, reference, x, gamma, beta, eps):
    got = kernel("batch_norm_forward.wgsl", x=x, gamma=gamma, beta=beta, eps=eps)
    x, gamma, beta = (value.astype(np.float64) for value in (x, gamma, beta))
    eps = float(np.float32(eps))
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    # Any order of the sum; then the differences round, and so does the variance made of their squares.
    count = x.size // x.shape[1]
    error = tolerance.summation(np.moveaxis(x, 1, 0).reshape(len(mean), -1)) / count + 4 * U * np.abs(mean)
    growth = min(count, 4 * np.sqrt(count) + 4) + 8
    var_error = growth * U * var + 4 * error * np.sqrt(var) + error**2
    std = np.sqrt(var + eps)
    x_hat = (x - over(mean)) / over(std)
    want = over(gamma) * x_hat + over(beta)
    relative = var_error / (2 * std**2) + 8 * U
    tol = np.abs(over(gamma)) * (over(error / std) + np.abs(x_hat) * over(relative)) + 4 * U * (
        np.abs(want) + np.abs(over(beta))
    )
    expect_close(got["mean"], mean, error + tolerance.TINY32, what="mean")
    expect_close(got["variance"], var, var_error + tolerance.TINY32, what="variance")
    expect_close(got["out"], want, tol + tolerance.TINY32, what="out")


@pytest.mark.exercise("batch_norm_forward.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_batch_norm_forward_kernel_numbers(kernel, reference, rng, case):
    expect_forward(
        kernel, reference, 1 + 2 * normal(rng, *case), 1 + normal(rng, case[1]), normal(rng, case[1]), EPS
    )


def far_from_zero(rng):
    """Spread 1 around 1000: E[x^2] - mean^2 is mostly rounding here."""
    return 1000 + normal(rng, 4, 3, 5, 4)


def quiet(rng):
    return np.float32(1e-3) * normal(rng, 4, 3, 5, 4)


def constant_channel(rng):
    x = normal(rng, 4, 3, 4, 4)
    x[:, 1] = 0
    return x


def late_values(rng):
    """All that differs lies past the first values that a workgroup takes."""
    x = np.zeros((3, 2, 25, 7), np.float32)
    x[2, :, 20:] = 3 + normal(rng, 2, 5, 7)
    return x


def channels_far_apart(rng):
    return normal(rng, 4, 3, 5, 4) + np.float32([-50, 0, 70])[:, None, None]


EXTREMES = [
    *((values, eps) for values in (far_from_zero, constant_channel, late_values) for eps in (EPS, 0.25)),
    *((quiet, eps) for eps in (1e-5, 0.25)),
    (channels_far_apart, EPS),
]


@pytest.mark.exercise("batch_norm_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize(("values", "eps"), EXTREMES)
def test_batch_norm_forward_kernel_on_extreme_channels(kernel, reference, rng, values, eps):
    x = values(rng)
    expect_forward(kernel, reference, x, 1 + normal(rng, x.shape[1]), normal(rng, x.shape[1]), eps)


@pytest.mark.exercise("batch_norm_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(2, 3, 1, 2), (3, 2, 9, 5)], ids=str)
def test_batch_norm_forward_kernel_is_safe(kernel, rng, case):
    gamma, beta = normal(rng, case[1]), normal(rng, case[1])
    kernel.safety("batch_norm_forward.wgsl", x=normal(rng, *case), gamma=gamma, beta=beta, eps=1e-5)


def backward_arrays(rng, x):
    mean, var = x.mean(axis=(0, 2, 3), dtype=np.float64), x.var(axis=(0, 2, 3), dtype=np.float64)
    return {
        "dout": np.float32(0.5) + normal(rng, *x.shape),
        "x": x,
        "gamma": np.float32(0.5) + np.abs(normal(rng, x.shape[1])),
        "mean": mean.astype(np.float32),
        "variance": var.astype(np.float32),
    }


def expect_backward(kernel, reference, arrays, eps):
    got = kernel("batch_norm_backward.wgsl", **arrays, eps=eps)
    dout, x, gamma, mean, var = (value.astype(np.float64) for value in arrays.values())
    inv_std = 1 / np.sqrt(var + float(np.float32(eps)))
    x_hat = (x - over(mean)) * over(inv_std)
    # The reference's cache is made from the very mean and variance that the kernel gets.
    dx, dgamma, dbeta = reference.batch_norm_backward(dout, (x_hat, gamma, inv_std, True))
    count = x.size // x.shape[1]

    def channel_sum(value):
        return tolerance.summation(np.moveaxis(value, 1, 0).reshape(x.shape[1], -1))

    beta_error = channel_sum(dout)
    gamma_error = channel_sum(dout * x_hat) + 10 * U * np.abs(dout * x_hat).sum(axis=(0, 2, 3))
    terms = np.abs(dout) + np.abs(over(dbeta)) / count + np.abs(x_hat * over(dgamma)) / count
    tol = over(np.abs(gamma) * inv_std) * (
        14 * U * terms + over(beta_error) / count + np.abs(x_hat) * over(gamma_error) / count
    )
    expect_close(got["dbeta"], dbeta, beta_error + tolerance.TINY32, what="dbeta")
    expect_close(got["dgamma"], dgamma, gamma_error + tolerance.TINY32, what="dgamma")
    expect_close(got["dx"], dx, tol + tolerance.TINY32, what="dx")


@pytest.mark.exercise("batch_norm_backward.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_batch_norm_backward_kernel_numbers(kernel, reference, rng, case):
    expect_backward(kernel, reference, backward_arrays(rng, 1 + 2 * normal(rng, *case)), EPS)


@pytest.mark.exercise("batch_norm_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize(("values", "eps"), EXTREMES)
def test_batch_norm_backward_kernel_on_extreme_channels(kernel, reference, rng, values, eps):
    expect_backward(kernel, reference, backward_arrays(rng, values(rng)), eps)


@pytest.mark.exercise("batch_norm_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(2, 3, 1, 2), (3, 2, 9, 5)], ids=str)
def test_batch_norm_backward_kernel_is_safe(kernel, rng, case):
    kernel.safety("batch_norm_backward.wgsl", **backward_arrays(rng, normal(rng, *case)), eps=1e-5)
