"""Hidden tests of the kernels that train: dropout and Adam."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance
from gradschool.grading.expect import expect

CASES = [1, 2, 63, 64, 65, 257, 1003]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def _dropped(reference, x, rate, seed):
    """The right answer in float64; the mask compares float32 with float32, as the kernel does."""
    kept = reference.random_uniform(x.size, seed) >= np.float32(rate)
    factor = 1 / (1 - float(np.float32(rate))) if rate < 1 else 0.0
    return np.where(kept, x.astype(np.float64) * factor, 0.0)


@pytest.mark.exercise("dropout_forward.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", CASES)
def test_dropout_kernel_numbers(kernel, reference, rng, n):
    x, seed, rate = normal(rng, n), int(rng.integers(2**32)), float(rng.uniform(0.2, 0.7))
    got = kernel("dropout_forward.wgsl", x=x, rate=rate, seed=seed)
    want = _dropped(reference, x, rate, seed)
    expect_close(got, want, tolerance.elementwise(want, 8), what="out")


@pytest.mark.exercise("dropout_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 1.0, "met"])
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_dropout_kernel_takes_every_rate_and_seed(kernel, reference, rng, rate, seed):
    x = 1 + normal(rng, 150) ** 2
    if rate == "met":  # one of the very numbers that are compared with it: u >= rate keeps that element
        rate = float(np.sort(reference.random_uniform(x.size, seed))[75])
    got = kernel("dropout_forward.wgsl", x=x, rate=rate, seed=seed)
    want = _dropped(reference, x, rate, seed)
    expect_close(got, want, tolerance.elementwise(want, 8), what="out")


@pytest.mark.exercise("dropout_forward.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_dropout_kernel_is_safe(kernel, rng, n):
    kernel.safety("dropout_forward.wgsl", x=normal(rng, n), rate=0.5, seed=3)


def _adam(rng, n, t, scale=1.0, eps=1e-8):
    """Arrays and parameters of step t; the betas are numbers that float32 holds exactly."""
    beta1, beta2 = float(np.float32(0.9)), float(np.float32(0.99))
    fresh = t == 1
    arrays = {
        "w": normal(rng, n),
        "m": np.zeros(n, np.float32) if fresh else np.float32(scale) * normal(rng, n),
        "v": np.zeros(n, np.float32) if fresh else np.float32(scale**2) * normal(rng, n) ** 2,
        "grad": np.float32(scale) * normal(rng, n),
    }
    params = {"lr": 0.125, "beta1": beta1, "beta2": beta2, "eps": float(np.float32(eps))}
    return arrays, params, {"m_correction": 1 - beta1**t, "v_correction": 1 - beta2**t}


def _expect_adam(got, arrays, params, t, reference):
    wide = {name: value.astype(np.float64) for name, value in arrays.items()}
    beta1, beta2, lr, eps = (params[name] for name in ("beta1", "beta2", "lr", "eps"))
    state = {"t": t - 1, "m": {"w": wide["m"]}, "v": {"w": wide["v"]}}
    after, state = reference.adam_step({"w": wide["w"]}, {"w": wide["grad"]}, state, lr, (beta1, beta2), eps)
    u, m, v = tolerance.U32, state["m"]["w"], state["v"]["w"]
    m_error = 4 * u * (np.abs(beta1 * wide["m"]) + np.abs((1 - beta1) * wide["grad"])) + tolerance.TINY32
    expect_close(got["m"], m, m_error, what="m")
    expect_close(got["v"], v, 8 * u * v + tolerance.TINY32, what="v")
    # A root and two divisions, of a few units each, on top of what m had already.
    divisor = (1 - beta1**t) * (np.sqrt(v / (1 - beta2**t)) + eps)
    w_error = lr * (m_error + 32 * u * np.abs(m)) / divisor + 4 * u * np.abs(wide["w"]) + tolerance.TINY32
    expect_close(got["w"], after["w"], w_error, what="w")


@pytest.mark.exercise("adam_step.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", CASES)
def test_adam_kernel_numbers(kernel, reference, rng, n):
    t = int(rng.integers(3, 9))
    arrays, params, corrections = _adam(rng, n, t)
    got = kernel("adam_step.wgsl", **arrays, **params, **corrections)
    _expect_adam(got, arrays, params, t, reference)


@pytest.mark.exercise("adam_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_adam_kernel_takes_the_first_step(kernel, reference, rng, scale):
    arrays, params, corrections = _adam(rng, 70, 1, scale)
    got = kernel("adam_step.wgsl", **arrays, **params, **corrections)
    _expect_adam(got, arrays, params, 1, reference)


@pytest.mark.exercise("adam_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("eps", [0.25, 1e-3])
def test_adam_kernel_adds_eps_to_the_root(kernel, reference, rng, eps):
    arrays, params, corrections = _adam(rng, 70, 2, 0.1, eps)
    got = kernel("adam_step.wgsl", **arrays, **params, **corrections)
    _expect_adam(got, arrays, params, 2, reference)


@pytest.mark.exercise("adam_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_adam_kernel_is_safe(kernel, rng, n):
    arrays, params, corrections = _adam(rng, n, 4)
    # A kernel that does nothing is safe too; it earns nothing.
    got = kernel("adam_step.wgsl", **arrays, **params, **corrections)
    for name in ("w", "m", "v"):
        expect(bool(np.any(got[name] != arrays[name])), f"{name} did not change.")
    kernel.safety("adam_step.wgsl", **arrays, **params, **corrections)
