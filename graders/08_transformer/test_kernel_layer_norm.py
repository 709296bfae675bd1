"""Hidden tests of the layer norm kernels: numbers, extreme rows, safety."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance

# n_rows, d_model: one value, then both sizes on both sides of a workgroup of 64, and past 256.
CASES = [(1, 1), (3, 2), (2, 63), (5, 64), (3, 65), (2, 131), (2, 300), (70, 3), (131, 2)]
U = tolerance.U32


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def expect_forward(kernel, x, gamma, beta, eps):
    got = kernel("layer_norm_forward.wgsl", x=x, gamma=gamma, beta=beta, eps=eps)
    x, gamma, beta = (value.astype(np.float64) for value in (x, gamma, beta))
    eps, n = float(np.float32(eps)), x.shape[1]
    mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    # Any order of the sum; then the differences round, and so does the variance made of their squares.
    error = tolerance.summation(x)[:, None] / n + 4 * U * np.abs(mean)
    var_error = (min(n, 4 * np.sqrt(n) + 4) + 8) * U * var + 4 * error * np.sqrt(var) + error**2
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    want = gamma * x_hat + beta
    relative = var_error / (2 * std**2) + 8 * U
    tol = np.abs(gamma) * (error / std + np.abs(x_hat) * relative) + 4 * U * (np.abs(want) + np.abs(beta))
    expect_close(got["mean"], mean[:, 0], error[:, 0] + tolerance.TINY32, what="mean")
    expect_close(got["rstd"], (1 / std)[:, 0], (relative / std)[:, 0], what="rstd")
    expect_close(got["out"], want, tol + tolerance.TINY32, what="out")


@pytest.mark.exercise("layer_norm_forward.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer_norm_forward_kernel_numbers(kernel, rng, case):
    x = 1 + 2 * normal(rng, *case)
    expect_forward(kernel, x, 1 + normal(rng, case[1]), normal(rng, case[1]), 1e-5)


def far_from_zero(rng):
    """Spread 1 around 1000: E[x^2] - mean^2 is mostly rounding here."""
    return 1000 + normal(rng, 3, 71)


def quiet(rng):
    return np.float32(1e-3) * normal(rng, 3, 71)


def constant_row(rng):
    x = normal(rng, 3, 71)
    x[1] = 4
    return x


def late_values(rng):
    """What matters comes after the first 64 features."""
    x = normal(rng, 2, 150)
    x[:, 64:] = 30 - 3 * x[:, 64:]
    return x


@pytest.mark.exercise("layer_norm_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("values", [far_from_zero, quiet, constant_row, late_values])
@pytest.mark.parametrize("eps", [1e-5, 0.25])
def test_layer_norm_forward_kernel_on_extreme_rows(kernel, rng, values, eps):
    x = values(rng)
    expect_forward(kernel, x, 1 + normal(rng, x.shape[1]), normal(rng, x.shape[1]), eps)


@pytest.mark.exercise("layer_norm_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 2), (2, 131)], ids=str)
def test_layer_norm_forward_kernel_is_safe(kernel, rng, case):
    x, gamma, beta = normal(rng, *case), normal(rng, case[1]), normal(rng, case[1])
    kernel.safety("layer_norm_forward.wgsl", x=x, gamma=gamma, beta=beta, eps=1e-5)


def backward_arrays(rng, x, eps=1e-5):
    mean, var = (f(x.astype(np.float64), axis=1) for f in (np.mean, np.var))
    return {
        "dout": np.float32(0.5) + normal(rng, *x.shape),
        "x": x,
        "gamma": np.float32(0.5) + np.abs(normal(rng, x.shape[1])),
        "mean": mean.astype(np.float32),
        "rstd": (1 / np.sqrt(var + eps)).astype(np.float32),
    }


def expect_backward(kernel, reference, arrays):
    got = kernel("layer_norm_backward.wgsl", **arrays)
    dout, x, gamma, mean, rstd = (value.astype(np.float64) for value in arrays.values())
    x_hat = (x - mean[:, None]) * rstd[:, None]
    # The reference's cache is made from the very mean and rstd that the kernel gets.
    dx, dgamma, dbeta = reference.layer_norm_backward(dout, (x_hat, gamma, rstd[:, None]))
    n, d = x.shape[1], gamma * dout
    # x - mean rounds once, whatever is left of it.
    hat_error = 4 * U * np.abs(x_hat) + U * np.abs(mean * rstd)[:, None]
    beta_error = tolerance.summation(dout, axis=0)
    gamma_error = tolerance.summation(dout * x_hat, axis=0) + (np.abs(dout) * (hat_error + 8 * U)).sum(axis=0)
    mean_error = (tolerance.summation(d) + 2 * U * np.abs(d).sum(axis=1))[:, None] / n
    along_error = (tolerance.summation(d * x_hat) + (np.abs(d) * (hat_error + 8 * U)).sum(axis=1))[
        :, None
    ] / n
    average, along = d.mean(axis=1, keepdims=True), (d * x_hat).mean(axis=1, keepdims=True)
    terms = np.abs(d) + np.abs(average) + np.abs(x_hat * along)
    tol = 8 * U * terms + mean_error + np.abs(x_hat) * along_error + hat_error * np.abs(along)
    expect_close(got["dbeta"], dbeta, beta_error + tolerance.TINY32, what="dbeta")
    expect_close(got["dgamma"], dgamma, gamma_error + tolerance.TINY32, what="dgamma")
    expect_close(got["dx"], dx, rstd[:, None] * tol + tolerance.TINY32, what="dx")


@pytest.mark.exercise("layer_norm_backward.wgsl")
@pytest.mark.points(3)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer_norm_backward_kernel_numbers(kernel, reference, rng, case):
    expect_backward(kernel, reference, backward_arrays(rng, 1 + 2 * normal(rng, *case)))


@pytest.mark.exercise("layer_norm_backward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("values", [far_from_zero, quiet, constant_row, late_values])
def test_layer_norm_backward_kernel_on_extreme_rows(kernel, reference, rng, values):
    expect_backward(kernel, reference, backward_arrays(rng, values(rng), eps=1e-2))


@pytest.mark.exercise("layer_norm_backward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("case", [(3, 2), (2, 131), (70, 3)], ids=str)
def test_layer_norm_backward_kernel_is_safe(kernel, rng, case):
    kernel.safety("layer_norm_backward.wgsl", **backward_arrays(rng, normal(rng, *case)))
