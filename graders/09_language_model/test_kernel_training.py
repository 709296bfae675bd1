"""Hidden tests of the kernel that trains: AdamW in place."""

import numpy as np
import pytest

from gradschool.grading import expect_close, tolerance
from gradschool.grading.expect import expect

CASES = [1, 2, 63, 64, 65, 257, 1003]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def _adamw(rng, n, t, *, scale=1.0, eps=1e-8, weight_decay=0.5, lr=0.125):
    """Arrays and parameters of step t; the betas are numbers that float32 holds exactly."""
    beta1, beta2 = float(np.float32(0.9)), float(np.float32(0.99))
    fresh = t == 1
    arrays = {
        "w": normal(rng, n),
        "m": np.zeros(n, np.float32) if fresh else np.float32(scale) * normal(rng, n),
        "v": np.zeros(n, np.float32) if fresh else np.float32(scale**2) * normal(rng, n) ** 2,
        "grad": np.float32(scale) * normal(rng, n),
    }
    params = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": float(np.float32(eps))}
    params["weight_decay"] = weight_decay
    return arrays, params, {"m_correction": 1 - beta1**t, "v_correction": 1 - beta2**t}


def _expect_adamw(kernel, reference, rng, n, t, **options):
    arrays, params, corrections = _adamw(rng, n, t, **options)
    got = kernel("adamw_step.wgsl", **arrays, **params, **corrections)
    wide = {name: value.astype(np.float64) for name, value in arrays.items()}
    beta1, beta2, lr, eps, decay = (params[name] for name in ("beta1", "beta2", "lr", "eps", "weight_decay"))
    state = {"t": t - 1, "m": {"w": wide["m"]}, "v": {"w": wide["v"]}}
    after, state = reference.adamw_step(
        {"w": wide["w"]}, {"w": wide["grad"]}, state, lr, (beta1, beta2), eps, decay
    )
    u, m, v = tolerance.U32, state["m"]["w"], state["v"]["w"]
    m_error = 4 * u * (np.abs(beta1 * wide["m"]) + np.abs((1 - beta1) * wide["grad"])) + tolerance.TINY32
    expect_close(got["m"], m, m_error, what="m")
    expect_close(got["v"], v, 8 * u * v + tolerance.TINY32, what="v")
    # A root and two divisions, of a few units each, on top of what m had already.
    divisor = (1 - beta1**t) * (np.sqrt(v / (1 - beta2**t)) + eps)
    w_error = lr * (m_error + 32 * u * np.abs(m)) / divisor
    w_error += (4 + 4 * lr * decay) * u * np.abs(wide["w"]) + tolerance.TINY32
    expect_close(got["w"], after["w"], w_error, what="w")


@pytest.mark.exercise("adamw_step.wgsl")
@pytest.mark.points(2)
@pytest.mark.parametrize("n", CASES)
def test_adamw_kernel_numbers(kernel, reference, rng, n):
    _expect_adamw(kernel, reference, rng, n, int(rng.integers(3, 9)))


@pytest.mark.exercise("adamw_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_adamw_kernel_takes_the_first_step(kernel, reference, rng, scale):
    _expect_adamw(kernel, reference, rng, 70, 1, scale=scale)


@pytest.mark.exercise("adamw_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("eps", [0.25, 1e-3])
def test_adamw_kernel_adds_eps_to_the_root(kernel, reference, rng, eps):
    _expect_adamw(kernel, reference, rng, 70, 2, scale=0.1, eps=eps)


@pytest.mark.exercise("adamw_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize(("lr", "weight_decay"), [(0.5, 1.5), (0.25, 0.0), (0.0, 1.0)], ids=str)
def test_adamw_kernel_decays_with_the_learning_rate(kernel, reference, rng, lr, weight_decay):
    _expect_adamw(kernel, reference, rng, 70, 3, lr=lr, weight_decay=weight_decay)


@pytest.mark.exercise("adamw_step.wgsl")
@pytest.mark.points(1)
@pytest.mark.parametrize("n", [5, 131])
def test_adamw_kernel_is_safe(kernel, rng, n):
    arrays, params, corrections = _adamw(rng, n, 4)
    # A kernel that does nothing is safe too; it earns nothing.
    got = kernel("adamw_step.wgsl", **arrays, **params, **corrections)
    for name in ("w", "m", "v"):
        expect(bool(np.any(got[name] != arrays[name])), f"{name} did not change.")
    kernel.safety("adamw_step.wgsl", **arrays, **params, **corrections)
