"""Stage 5: references against their PyTorch twins and finite differences, kernels, and the lesson's run."""

import importlib.util
import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradschool.gpu import load_kernel
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("05_resnet")
SHAPES = [(2, 3, 4, 5), (1, 2, 3, 1), (7, 5, 1, 1), (3, 1, 2, 6)]
# c_in, c_out, h, w, stride
BLOCKS = [(3, 3, 4, 5, 1), (2, 4, 3, 5, 1), (4, 4, 5, 6, 2), (3, 5, 6, 3, 2)]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_05_resnet", STAGE.solutions / "twin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rng():
    return np.random.default_rng(2015)


@pytest.fixture(params=["interpreter", "wgpu"])
def kernel(request, monkeypatch):
    """Calls a reference kernel by name, in the interpreter and then on a wgpu device."""
    if request.param == "wgpu":
        request.getfixturevalue("wgpu_device")
    else:
        monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    return lambda name, **values: load_kernel(STAGE.shaders / f"{name}.wgsl")(**values)


def tensors(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: torch.from_numpy(value) for name, value in values.items()}
    return torch.from_numpy(values)


def same(ours: Any, theirs: Any, relative=1e-10, scale=0.0):
    """Assert equality within `relative` of the largest element, or of `scale` if that is larger."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            same(ours[name], value, relative, scale)
        return
    theirs = theirs.detach().numpy()
    assert np.shape(ours) == theirs.shape
    size = max(float(np.abs(theirs).max()), scale)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * size)


def norm_layer(rng, shape, mean=0.0) -> Any:
    x, gamma, beta = (
        mean + rng.standard_normal(shape),
        rng.standard_normal(shape[1]),
        rng.standard_normal(shape[1]),
    )
    return x, gamma, beta, {"mean": rng.standard_normal(shape[1]), "var": 0.5 + rng.random(shape[1])}


def layer_params(rng, suffix, c_out, c_in, k):
    params = {
        f"w{suffix}": 0.4 * rng.standard_normal((c_out, c_in, k, k)),
        f"gamma{suffix}": 0.5 + rng.random(c_out),
        f"beta{suffix}": rng.standard_normal(c_out),
    }
    return params, {f"mean{suffix}": rng.standard_normal(c_out), f"var{suffix}": 0.5 + rng.random(c_out)}


def block_values(rng, c_in, c_out, skip):
    layers = [("1", c_out, c_in, 3), ("2", c_out, c_out, 3), ("_skip", c_out, c_in, 1)]
    params, running = {}, {}
    for layer in layers if skip else layers[:2]:
        new_params, new_running = layer_params(rng, *layer)
        params, running = params | new_params, running | new_running
    return params, running


def net_values(rng, c_in, channels, n_classes, shortcut):
    params, running = layer_params(rng, "_stem", channels[0], c_in, 3)
    for i, (before, after) in enumerate(pairwise(channels)):
        block = block_values(rng, before, after, shortcut and before != after)
        params |= {f"block{i}_{name}": value for name, value in block[0].items()}
        running |= {f"block{i}_{name}": value for name, value in block[1].items()}
    params |= {
        "w_head": rng.standard_normal((channels[-1], n_classes)),
        "b_head": rng.standard_normal(n_classes),
    }
    return params, running


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mean", [0.0, 30.0])
def test_batch_norm_equals_its_twin(reference, twin, rng, shape, training, mean):
    layer, dout = norm_layer(rng, shape, mean), rng.standard_normal(shape)
    arguments = (training, 0.3, 1e-3)
    out, cache, running = reference.batch_norm_forward(*layer, *arguments)
    out_twin, cache_twin, running_twin = twin.batch_norm_forward(*map(tensors, layer), *arguments)
    same(out, out_twin)
    same(running, running_twin)
    gradients = twin.batch_norm_backward(tensors(dout), cache_twin)
    for ours, theirs in zip(reference.batch_norm_backward(dout, cache), gradients, strict=True):
        same(ours, theirs, scale=1.0)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradients_survive_finite_differences(reference, rng, training):
    layer, dout = norm_layer(rng, (2, 3, 2, 3)), rng.standard_normal((2, 3, 2, 3))
    gradients = reference.batch_norm_backward(dout, reference.batch_norm_forward(*layer, training)[1])
    for place, gradient in enumerate(gradients):
        direction = rng.standard_normal(layer[place].shape)

        def loss(t, place=place, direction=direction):
            moved = [value + t * direction if i == place else value for i, value in enumerate(layer)]
            return (dout * reference.batch_norm_forward(*moved, training)[0]).sum()

        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 5), (1,)], ids=str)
def test_the_residual_connection_equals_its_twin(reference, twin, rng, shape):
    x, dout = rng.standard_normal(shape), rng.standard_normal(shape)
    out, cache = reference.residual_forward(x, reference.relu_forward)
    out_twin, cache_twin = twin.residual_forward(tensors(x), torch.relu)
    same(out, out_twin)
    dx = reference.residual_backward(dout, cache, reference.relu_backward)
    same(dx, twin.residual_backward(tensors(dout), cache_twin))


def test_a_plain_function_has_x_for_its_cache(reference, rng):
    x, dout = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    out, cache = reference.residual_forward(x, np.sin)
    np.testing.assert_array_equal(out, x + np.sin(x))
    dx = reference.residual_backward(dout, cache, lambda dout, x: dout * np.cos(x))
    np.testing.assert_allclose(dx, dout * (1 + np.cos(x)))


@pytest.mark.parametrize("case", BLOCKS, ids=str)
@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_basic_block_equals_its_twin(reference, twin, rng, case, shortcut, training):
    c_in, c_out, h, w, stride = case
    skip = shortcut and (stride != 1 or c_in != c_out)
    params, running = block_values(rng, c_in, c_out, skip)
    x = rng.standard_normal((2, c_in, h, w))
    out, cache = reference.basic_block_forward(x, params, stride, running, training, shortcut)
    out_twin, cache_twin = twin.basic_block_forward(
        tensors(x), tensors(params), stride, tensors(running), training, shortcut
    )
    same(out, out_twin)
    same(cache["running"], cache_twin["running"])
    dout = rng.standard_normal(out.shape)
    dx, grads = reference.basic_block_backward(dout, cache)
    dx_twin, grads_twin = twin.basic_block_backward(tensors(dout), cache_twin)
    same(dx, dx_twin)
    same(grads, grads_twin, scale=1.0)


@pytest.mark.parametrize("channels", [(4,), (2, 2), (3, 3, 5, 5), (2, 3, *(3,) * 11)], ids=len)
@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_net_equals_its_twin(reference, twin, rng, channels, shortcut, training):
    params, running = net_values(rng, 2, channels, 7, shortcut)
    x = rng.standard_normal((3, 2, 6, 5))
    logits, cache = reference.resnet_forward(x, params, running, training, shortcut)
    logits_twin, cache_twin = twin.resnet_forward(
        tensors(x), tensors(params), tensors(running), training, shortcut
    )
    same(logits, logits_twin)
    same(cache["running"], cache_twin["running"])
    dlogits = rng.standard_normal(logits.shape)
    grads_twin = twin.resnet_backward(tensors(dlogits), cache_twin)
    largest = max(float(grad.abs().max()) for grad in grads_twin.values())
    same(reference.resnet_backward(dlogits, cache), grads_twin, scale=largest)


def test_float32_stays_float32(reference, rng):
    params, running = net_values(rng, 2, (2, 3, 3), 4, True)
    params, running = (
        {name: value.astype(np.float32) for name, value in part.items()} for part in (params, running)
    )
    x = rng.standard_normal((3, 2, 6, 5)).astype(np.float32)
    logits, cache = reference.resnet_forward(x, params, running)
    grads = reference.resnet_backward(np.ones_like(logits), cache)
    results = [logits, *cache["running"].values(), *grads.values()]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 4, 7), (3, 2, 9, 1)], ids=str)
def test_batch_norm_kernels_equal_numpy(kernel, reference, rng, shape):
    x, gamma, beta, _ = norm_layer(rng, shape)
    x, gamma, beta, dout = (v.astype(np.float32) for v in (x, gamma, beta, rng.standard_normal(shape)))
    got = kernel("batch_norm_forward", x=x, gamma=gamma, beta=beta, eps=1e-3)
    x64, gamma64, beta64 = (v.astype(np.float64) for v in (x, gamma, beta))
    mean, var = x64.mean(axis=(0, 2, 3)), x64.var(axis=(0, 2, 3))
    inv_std = 1 / np.sqrt(var + 1e-3)
    x_hat = (x64 - mean[:, None, None]) * inv_std[:, None, None]
    np.testing.assert_allclose(got["mean"], mean, atol=1e-6)
    np.testing.assert_allclose(got["variance"], var, atol=3e-6)
    np.testing.assert_allclose(got["out"], gamma64[:, None, None] * x_hat + beta64[:, None, None], atol=2e-5)
    back = kernel(
        "batch_norm_backward",
        **{
            "dout": dout,
            "x": x,
            "gamma": gamma,
            "mean": got["mean"],
            "variance": got["variance"],
            "eps": 1e-3,
        },
    )
    want = reference.batch_norm_backward(dout.astype(np.float64), (x_hat, gamma64, inv_std, True))
    for name, value in zip(("dx", "dgamma", "dbeta"), want, strict=True):
        np.testing.assert_allclose(back[name], value, atol=1e-4 * max(1, np.abs(value).max()))


@pytest.mark.parametrize("n", [1, 65, 259])
def test_add_relu_kernels_equal_numpy(kernel, rng, n):
    x, y, dout = rng.standard_normal((3, n)).astype(np.float32)
    out = kernel("add_relu_forward", x=x, y=y)
    np.testing.assert_array_equal(out, np.maximum(x + y, 0))
    np.testing.assert_array_equal(kernel("add_relu_backward", dout=dout, out=out), np.where(out > 0, dout, 0))


def test_the_lesson_runs_and_reaches_its_outcomes(monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the lesson's pictures need the lab extra")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(STAGE.solutions)
    outcome = runpy.run_path(str(STAGE.lesson))
    pyplot.close("all")
    # Means over the seeds: single runs of a chaotic training differ a little between machines.
    assert np.mean(outcome["plain_accuracies"]) < 0.5
    assert np.mean(outcome["residual_accuracies"]) >= 0.94
    assert np.mean(outcome["stack_agreement"][-3:]) < 0.2 < outcome["stack_agreement"][0]
    assert outcome["stack_norms"][-1] > 5 * outcome["stack_norms"][0]
    # The same training on the kernels: the same losses to rounding, as long as rounding stays small.
    assert outcome["early_gap"] <= 1e-3
    assert outcome["kernel_losses"][-10:].mean() < 0.5 * outcome["kernel_losses"][0]
    assert max(outcome["kernel_gaps"].values()) <= 1e-4
    assert "on average" in capsys.readouterr().out
