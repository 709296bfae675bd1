"""Stage 8, its parts: references against PyTorch and finite differences, kernels against NumPy."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradschool.gpu import load_kernel
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("08_transformer")
SHAPES = [(2, 3, 5), (1, 1, 2), (7, 3), (4,), (2, 3, 4, 5), (3, 1)]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_08_transformer", STAGE.solutions / "twin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rng():
    return np.random.default_rng(2017)


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
    size = max(float(np.abs(theirs).max(initial=0)), scale)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * size)


def slope(loss, step=1e-6):
    return (loss(step) - loss(-step)) / (2 * step)


def finite_differences_agree(rng, forward, values, gradients, dout):
    """Compare every gradient with a central difference along a random direction."""
    for place, gradient in enumerate(gradients):
        direction = rng.standard_normal(values[place].shape)

        def loss(t, place=place, direction=direction):
            moved = [value + t * direction if i == place else value for i, value in enumerate(values)]
            return (dout * forward(*moved)[0]).sum()

        np.testing.assert_allclose((gradient * direction).sum(), slope(loss), rtol=1e-6, atol=1e-8)


def ff_params(rng, d_model, d_ff, dtype=np.float64) -> dict[str, Any]:
    shapes = {"w1": (d_model, d_ff), "b1": (d_ff,), "w2": (d_ff, d_model), "b2": (d_model,)}
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mean", [0.0, 30.0])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm_equals_its_twin(reference, twin, rng, shape, mean, eps):
    x, dout = mean + rng.standard_normal(shape), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[-1]))
    out, cache = reference.layer_norm_forward(x, gamma, beta, eps)
    out_twin, cache_twin = twin.layer_norm_forward(*map(tensors, (x, gamma, beta)), eps)
    same(out, out_twin)
    gradients = twin.layer_norm_backward(tensors(dout), cache_twin)
    for ours, theirs in zip(reference.layer_norm_backward(dout, cache), gradients, strict=True):
        same(ours, theirs, scale=1.0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("mean", [0.0, 30.0])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_rms_norm_equals_its_twin(reference, twin, rng, shape, mean, eps):
    x, dout = mean + rng.standard_normal(shape), rng.standard_normal(shape)
    gamma = rng.standard_normal(shape[-1])
    out, cache = reference.rms_norm_forward(x, gamma, eps)
    out_twin, cache_twin = twin.rms_norm_forward(*map(tensors, (x, gamma)), eps)
    same(out, out_twin)
    gradients = twin.rms_norm_backward(tensors(dout), cache_twin)
    for ours, theirs in zip(reference.rms_norm_backward(dout, cache), gradients, strict=True):
        same(ours, theirs, scale=1.0)


def test_gradients_of_the_norms_survive_finite_differences(reference, rng):
    x, dout = rng.standard_normal((2, 2, 3, 5))
    gamma, beta = rng.standard_normal((2, 5))
    gradients = reference.layer_norm_backward(dout, reference.layer_norm_forward(x, gamma, beta)[1])
    finite_differences_agree(rng, reference.layer_norm_forward, [x, gamma, beta], gradients, dout)
    gradients = reference.rms_norm_backward(dout, reference.rms_norm_forward(x, gamma)[1])
    finite_differences_agree(rng, reference.rms_norm_forward, [x, gamma], gradients, dout)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_equals_its_twin(reference, twin, rng, shape, approximate):
    x, dout = 3 * rng.standard_normal(shape), rng.standard_normal(shape)
    out, cache = reference.gelu_forward(x, approximate)
    out_twin, cache_twin = twin.gelu_forward(tensors(x), approximate)
    same(out, out_twin)
    same(reference.gelu_backward(dout, cache), twin.gelu_backward(tensors(dout), cache_twin))
    (dx,) = (reference.gelu_backward(dout, cache),)
    finite_differences_agree(rng, lambda x: reference.gelu_forward(x, approximate), [x], [dx], dout)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_of_the_largest_numbers_is_a_relu(reference, approximate, dtype):
    large = np.array([1e3, 1e15, np.finfo(dtype).max / 4], dtype)
    x = np.concatenate([large, -large])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        out, cache = reference.gelu_forward(x, approximate)
        dx = reference.gelu_backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(out, np.maximum(x, 0))
    np.testing.assert_array_equal(dx, x > 0)


@pytest.mark.parametrize("shape", [(2, 3), (7,), (1, 1), (2, 0)], ids=str)
def test_embedding_equals_its_twin(reference, twin, rng, shape):
    tokens, table = rng.integers(0, 5, shape), rng.standard_normal((5, 3))
    out, cache = reference.embedding_forward(tokens, table)
    out_twin, cache_twin = twin.embedding_forward(*map(tensors, (tokens, table)))
    same(out, out_twin)
    dout = rng.standard_normal(out.shape)
    same(reference.embedding_backward(dout, cache), twin.embedding_backward(tensors(dout), cache_twin))
    one_hot = np.eye(5)[tokens]
    np.testing.assert_allclose(out, one_hot @ table)


@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 4), (4,), (1, 1, 4)], ids=str)
@pytest.mark.parametrize("d_ff", [1, 7])
def test_the_feed_forward_part_equals_its_twin(reference, twin, rng, shape, d_ff):
    x, dout, params = rng.standard_normal(shape), rng.standard_normal(shape), ff_params(rng, 4, d_ff)
    out, cache = reference.feed_forward_forward(x, params)
    out_twin, cache_twin = twin.feed_forward_forward(tensors(x), tensors(params))
    same(out, out_twin)
    dx, grads = reference.feed_forward_backward(dout, cache)
    dx_twin, grads_twin = twin.feed_forward_backward(tensors(dout), cache_twin)
    same(dx, dx_twin)
    same(grads, grads_twin)


def test_the_parts_keep_float32(reference, rng):
    x, dout = rng.standard_normal((2, 2, 3, 4)).astype(np.float32)
    gamma, beta = rng.standard_normal((2, 4)).astype(np.float32)
    eps = np.float64(1e-5)
    results = []
    for forward, backward, arguments in (
        (reference.layer_norm_forward, reference.layer_norm_backward, (x, gamma, beta, eps)),
        (reference.rms_norm_forward, reference.rms_norm_backward, (x, gamma, eps)),
        (reference.gelu_forward, reference.gelu_backward, (x, "none")),
        (reference.gelu_forward, reference.gelu_backward, (x, "tanh")),
        (reference.feed_forward_forward, reference.feed_forward_backward, (x, ff_params(rng, 4, 7, x.dtype))),
    ):
        out, cache = forward(*arguments)
        back = backward(dout, cache)
        back = back if isinstance(back, tuple) else (back,)
        results += [out, *(value for value in back if not isinstance(value, dict))]
        results += [grad for value in back if isinstance(value, dict) for grad in value.values()]
    out, cache = reference.embedding_forward(np.array([1, 0, 1]), x[0])
    results += [out, reference.embedding_backward(out, cache)]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 130), (70, 2)], ids=str)
def test_layer_norm_kernels_equal_numpy(kernel, reference, rng, shape):
    x, dout = (3 + rng.standard_normal((2, *shape))).astype(np.float32)
    gamma, beta = rng.standard_normal((2, shape[1])).astype(np.float32)
    got = kernel("layer_norm_forward", x=x, gamma=gamma, beta=beta, eps=1e-3)
    x64, dout64, gamma64, beta64 = (v.astype(np.float64) for v in (x, dout, gamma, beta))
    out, cache = reference.layer_norm_forward(x64, gamma64, beta64, 1e-3)
    np.testing.assert_allclose(got["mean"], x64.mean(axis=1), rtol=2e-6)
    np.testing.assert_allclose(got["rstd"], 1 / np.sqrt(x64.var(axis=1) + 1e-3), rtol=2e-5)
    np.testing.assert_allclose(got["out"], out, atol=5e-5)
    statistics = {"mean": got["mean"], "rstd": got["rstd"]}
    back = kernel("layer_norm_backward", dout=dout, x=x, gamma=gamma, **statistics)
    want = reference.layer_norm_backward(dout64, cache)
    for name, value in zip(("dx", "dgamma", "dbeta"), want, strict=True):
        np.testing.assert_allclose(back[name], value, atol=1e-4 * max(1, np.abs(value).max()))


@pytest.mark.parametrize("n", [1, 65, 259])
def test_gelu_kernels_equal_numpy(kernel, reference, rng, n):
    x, dout = (3 * rng.standard_normal((2, n))).astype(np.float32)
    x[::7] *= np.float32(1e30)
    out, cache = reference.gelu_forward(x.astype(np.float64), "tanh")
    np.testing.assert_allclose(kernel("gelu_forward", x=x), out, rtol=1e-6, atol=1e-5)
    dx = reference.gelu_backward(dout.astype(np.float64), cache)
    np.testing.assert_allclose(kernel("gelu_backward", dout=dout, x=x), dx, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 3, 5), (130, 11, 3)], ids=str)
def test_embedding_kernels_equal_numpy(kernel, reference, rng, sizes):
    n_tokens, n_vocab, d_model = sizes
    tokens = rng.integers(0, n_vocab, n_tokens).astype(np.int32)
    table = rng.standard_normal((n_vocab, d_model)).astype(np.float32)
    out, cache = reference.embedding_forward(tokens, table)
    np.testing.assert_array_equal(kernel("embedding_forward", tokens=tokens, table=table), out)
    dout = rng.standard_normal(out.shape).astype(np.float32)
    got = kernel("embedding_backward", tokens=tokens, dout=dout, n_vocab=n_vocab)
    np.testing.assert_allclose(got, reference.embedding_backward(dout, cache), atol=1e-5)


def test_a_strange_token_is_a_row_of_zeros_to_the_kernels(kernel):
    tokens, table = np.array([-1, 0, 2], np.int32), np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(kernel("embedding_forward", tokens=tokens, table=table)[:, 0], [0, 1, 0])
    dtable = kernel("embedding_backward", tokens=tokens, dout=np.ones((3, 3), np.float32), n_vocab=2)
    np.testing.assert_array_equal(dtable[:, 0], [1, 0])


@pytest.mark.parametrize("start", [0, 4])
def test_sums_with_positions_and_residuals_equal_numpy(kernel, rng, start):
    x, positions = rng.standard_normal((2, 5, 3)), rng.standard_normal((11, 3))
    x, positions = x.astype(np.float32), positions.astype(np.float32)
    got = kernel("add_positions", x=x, positions=positions, start=start)
    np.testing.assert_array_equal(got, x + positions[start : start + 5])
    flat = rng.standard_normal((2, 131)).astype(np.float32)
    np.testing.assert_array_equal(kernel("residual_add", x=flat[0], residual=flat[1]), flat[0] + flat[1])
