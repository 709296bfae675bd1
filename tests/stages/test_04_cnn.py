"""Stage 4: references against their twins and finite differences, kernels against both, and the lesson's run."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradschool.gpu import load_kernel
from gradschool.grading import tolerance
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("04_cnn")
# n, c_in, h, w, c_out, kh, kw, stride, padding
LAYERS = [
    (2, 3, 9, 13, 5, 3, 2, (2, 1), (1, 0)),
    (1, 1, 1, 1, 1, 1, 1, 1, 0),
    (1, 2, 7, 4, 3, 4, 1, (3, 2), (2, 0)),
    (3, 1, 5, 8, 2, 5, 3, 2, (0, 1)),
    (2, 2, 6, 6, 2, 3, 3, 1, 1),
]
# n, c, h, w, size, stride
POOLS = [
    (2, 3, 9, 13, (3, 2), (2, 3)),
    (1, 1, 1, 1, 1, 1),
    (1, 2, 7, 4, 3, 1),
    (3, 1, 6, 8, 2, 2),
    (2, 2, 5, 5, 1, (3, 2)),
]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_04_cnn", STAGE.solutions / "twin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["interpreter", "wgpu"])
def kernel(request, monkeypatch):
    """Calls a reference kernel by name, in the interpreter and then on a wgpu device."""
    if request.param == "wgpu":
        request.getfixturevalue("wgpu_device")
    else:
        monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    return lambda name, **values: load_kernel(STAGE.shaders / f"{name}.wgsl")(**values)


@pytest.fixture
def rng():
    return np.random.default_rng(1989)


def same(ours, theirs, relative=1e-10):
    """Assert equality within `relative` of the largest element."""
    theirs = theirs.numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert np.shape(ours) == theirs.shape
    atol = relative * max(np.abs(theirs).max(initial=0), 1e-300)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def layer(rng, case):
    n, c_in, h, w, c_out, kh, kw, stride, padding = case
    shapes = (n, c_in, h, w), (c_out, c_in, kh, kw), (c_out,)
    return *(rng.standard_normal(shape) for shape in shapes), stride, padding


def slope(f, x, dout, step=1e-6):
    """Derivative of (dout * f(x)).sum() by every element of x, by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        gradient[index] = (dout * (f(x + moved) - f(x - moved))).sum() / (2 * step)
    return gradient


@pytest.mark.parametrize("case", LAYERS)
def test_windows_equal_their_twins(reference, twin, rng, case):
    x, w, _, stride, padding = layer(rng, case)
    window = (*w.shape[2:], stride, padding)
    cols = reference.im2col(x, *window)
    same(cols, twin.im2col(torch.from_numpy(x), *window), 0)
    gradient = rng.standard_normal(cols.shape)
    back = reference.col2im(gradient, x.shape, *window)
    same(back, twin.col2im(torch.from_numpy(gradient), x.shape, *window))
    # col2im is the transpose of im2col: both inner products are one number.
    np.testing.assert_allclose((cols * gradient).sum(), (x * back).sum(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("case", LAYERS)
def test_conv2d_equals_its_twin(reference, twin, rng, case):
    x, w, b, stride, padding = layer(rng, case)
    out, cache = reference.conv2d_forward(x, w, b, stride, padding)
    out_twin, cache_twin = twin.conv2d_forward(*map(torch.from_numpy, (x, w, b)), stride, padding)
    same(out, out_twin)
    dout = rng.standard_normal(out.shape)
    gradients = twin.conv2d_backward(torch.from_numpy(dout), cache_twin)
    for ours, theirs in zip(reference.conv2d_backward(dout, cache), gradients, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("case", LAYERS[1:4])
def test_conv2d_gradients_survive_finite_differences(reference, rng, case):
    x, w, b, *window = layer(rng, case)
    out, cache = reference.conv2d_forward(x, w, b, *window)
    dout = rng.standard_normal(out.shape)
    dx, dw, db = reference.conv2d_backward(dout, cache)
    same(slope(lambda x: reference.conv2d_forward(x, w, b, *window)[0], x, dout), dx, 1e-7)
    same(slope(lambda w: reference.conv2d_forward(x, w, b, *window)[0], w, dout), dw, 1e-7)
    same(slope(lambda b: reference.conv2d_forward(x, w, b, *window)[0], b, dout), db, 1e-7)


@pytest.mark.parametrize("case", LAYERS)
def test_the_matrix_equals_its_twin_and_does_what_the_convolution_does(reference, twin, rng, case):
    x, w, b, *window = layer(rng, case)
    matrix = reference.conv_as_affine(w, *x.shape[2:], *window)
    same(matrix, twin.conv_as_affine(torch.from_numpy(w), *x.shape[2:], *window))
    out, _ = reference.conv2d_forward(x, w, 0 * b, *window)
    same(x.reshape(len(x), -1) @ matrix, out.reshape(len(x), -1), 1e-12)


@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("case", POOLS)
def test_pooling_equals_its_twin(reference, twin, rng, op, ties, case):
    *shape, size, stride = case
    x = rng.integers(-2, 1, shape).astype(float) if ties else rng.standard_normal(shape)
    out, cache = getattr(reference, f"{op}_forward")(x, size, stride)
    out_twin, cache_twin = getattr(twin, f"{op}_forward")(torch.from_numpy(x), size, stride)
    same(out, out_twin)
    dout = rng.standard_normal(out.shape)
    theirs = getattr(twin, f"{op}_backward")(torch.from_numpy(dout), cache_twin)
    same(getattr(reference, f"{op}_backward")(dout, cache), theirs)


@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("case", POOLS[2:])
def test_pooling_gradients_survive_finite_differences(reference, rng, op, case):
    *shape, size, stride = case
    x = rng.permutation(int(np.prod(shape))).reshape(shape) / 10.0  # no two are near each other
    forward, backward = (getattr(reference, f"{op}_{way}") for way in ("forward", "backward"))
    out, cache = forward(x, size, stride)
    dout = rng.standard_normal(out.shape)
    same(slope(lambda x: forward(x, size, stride)[0], x, dout), backward(dout, cache), 1e-7)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (3, 2, 7, 1)])
def test_global_pooling_equals_its_twin(reference, twin, rng, shape):
    x, dout = rng.standard_normal(shape), rng.standard_normal(shape[:2])
    out, cache = reference.global_avg_pool_forward(x)
    out_twin, cache_twin = twin.global_avg_pool_forward(torch.from_numpy(x))
    same(out, out_twin)
    theirs = twin.global_avg_pool_backward(torch.from_numpy(dout), cache_twin)
    same(reference.global_avg_pool_backward(dout, cache), theirs)


def test_float32_stays_float32(reference, rng):
    x, w, b = (value.astype(np.float32) for value in layer(rng, LAYERS[0])[:3])
    out, cache = reference.conv2d_forward(x, w, b, 1, 1)
    largest, max_cache = reference.max_pool_forward(x, 2, 1)
    mean, avg_cache = reference.avg_pool_forward(x, 2, 1)
    one, global_cache = reference.global_avg_pool_forward(x)
    results = [
        *(out, largest, mean, one, reference.im2col(x, 2, 2, 1, 0), reference.conv_as_affine(w, 5, 6, 1, 0)),
        *reference.conv2d_backward(out, cache),
        reference.max_pool_backward(largest, max_cache),
        reference.avg_pool_backward(mean, avg_cache),
        reference.global_avg_pool_backward(one, global_cache),
    ]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("im2col", (np.ones((3, 5, 5)), 2, 2, 1, 0)),
        ("im2col", (np.ones((1, 1, 3, 3)), 2, 5, 1, (1, 0))),
        ("im2col", (np.ones((1, 1, 3, 3)), 2, 2, (1, 0), 0)),
        ("col2im", (np.ones((4, 8)), (1, 1, 3, 3), 2, 2, 1, 0)),
        ("conv2d_forward", (np.ones((1, 2, 3, 3)), np.ones((4, 3, 2, 2)), np.ones(4), 1, 0)),
        ("conv2d_forward", (np.ones((1, 2, 3, 3)), np.ones((4, 2, 2, 2)), np.ones(1), 1, 0)),
        ("conv_as_affine", (np.ones((2, 3, 3)), 5, 5, 1, 0)),
        ("max_pool_forward", (np.ones((1, 1, 3, 3)), (2, 4), 1)),
        ("avg_pool_forward", (np.ones((1, 1, 3, 3)), 2, 0)),
        ("global_avg_pool_forward", (np.ones((2, 3, 4)),)),
        ("global_avg_pool_backward", (np.ones((3, 2)), (2, 3, 4, 5))),
    ],
)
def test_what_a_docstring_refuses_is_refused_with_a_sentence(reference, name, arguments):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        getattr(reference, name)(*arguments)


def pairs(**sizes) -> dict[str, int]:
    """Params of a kernel: `stride=(2, 1)` becomes `stride_h=2, stride_w=1`."""
    return {
        f"{name}_{axis}": int(value)
        for name, both in sizes.items()
        for axis, value in zip("hw", np.broadcast_to(both, 2), strict=True)
    }


@pytest.mark.parametrize("case", [*LAYERS, (2, 2, 17, 11, 3, 2, 3, 1, 1)])
def test_conv2d_kernels_equal_numpy_and_torch(kernel, reference, twin, rng, case):
    x, w, b, stride, padding = layer(rng, case)
    out, cache = reference.conv2d_forward(x, w, b, stride, padding)
    dout = rng.standard_normal(out.shape)
    sizes = pairs(stride=stride, pad=padding)
    (h, w_in), (kh, kw), (h_out, w_out) = x.shape[2:], w.shape[2:], out.shape[2:]
    x32, w32, b32, dout32 = (value.astype(np.float32) for value in (x, w, b, dout))
    got = (
        kernel("conv2d_forward", x=x32, w=w32, b=b32, h_out=h_out, w_out=w_out, **sizes),
        kernel("conv2d_backward_input", dout=dout32, w=w32, h_in=h, w_in=w_in, **sizes),
        kernel("conv2d_backward_weight", x=x32, dout=dout32, kh=kh, kw=kw, **sizes),
    )
    _, cache_twin = twin.conv2d_forward(*map(torch.from_numpy, (x, w, b)), stride, padding)
    torch_answers = twin.conv2d_backward(torch.from_numpy(dout), cache_twin)
    want = (out, *reference.conv2d_backward(dout, cache)[:2])
    for ours, theirs in zip(got, want, strict=True):
        same(ours, theirs, 1e-5)
    for ours, theirs in zip(got[1:], torch_answers, strict=False):
        same(ours, theirs, 1e-5)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("case", POOLS)
def test_pooling_kernels_equal_numpy_and_torch(kernel, reference, rng, case, ties):
    *shape, size, stride = case
    x = (rng.integers(-2, 1, shape) if ties else rng.standard_normal(shape)).astype(np.float32)
    out, cache = reference.max_pool_forward(x, size, stride)
    sizes = pairs(size=size, stride=stride)
    places = {"h_out": out.shape[2], "w_out": out.shape[3]}
    got = kernel("max_pool_forward", x=x, **places, **sizes)
    np.testing.assert_array_equal(got["out"], out)
    _, where = torch.nn.functional.max_pool2d(torch.from_numpy(x), size, stride, return_indices=True)
    np.testing.assert_array_equal(got["winner"], where.numpy())
    dout = rng.standard_normal(out.shape).astype(np.float32)
    dx = kernel("max_pool_backward", dout=dout, winner=got["winner"], h_in=shape[2], w_in=shape[3], **sizes)
    same(dx, reference.max_pool_backward(dout.astype(float), cache), 1e-6)
    mean = kernel("avg_pool_forward", x=x, **places, **sizes)
    bound = tolerance.elementwise(reference.avg_pool_forward(np.abs(x).astype(float), size, stride)[0], 16)
    assert np.all(np.abs(mean - reference.avg_pool_forward(x.astype(float), size, stride)[0]) <= bound)


# The lesson runs in a process of its own, because it chooses the threads of NumPy before NumPy is loaded.
RUN_THE_LESSON = """
import json, runpy
outcome = runpy.run_path("lesson.py")
names = ["n_cnn", "n_mlp", "cnn_accuracies", "mlp_accuracies", "conv_gap", "loss_gap", "kernel_gaps"]
told = {name: outcome[name] for name in names}
for name in ("mlp", "cnn"):
    told[f"{name}_outside"] = float(outcome[f"{name}_places"][~outcome["inside"]].mean())
print("OUTCOME" + json.dumps(told))
"""


def test_the_lesson_runs_and_reaches_its_outcomes():
    pytest.importorskip("matplotlib", reason="the lesson's pictures need the lab extra")
    run = subprocess.run(
        [sys.executable, "-c", RUN_THE_LESSON],
        cwd=STAGE.solutions,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout.rpartition("OUTCOME")[2])
    assert outcome["n_cnn"] <= 7000
    assert abs(outcome["n_cnn"] - outcome["n_mlp"]) <= 0.05 * outcome["n_cnn"]
    assert len(outcome["cnn_accuracies"]) >= 3
    assert min(outcome["cnn_accuracies"]) >= 0.93
    assert max(outcome["mlp_accuracies"]) <= 0.78
    # Trained near the middle only: the MLP knows nothing elsewhere, the CNN most of it.
    assert outcome["mlp_outside"] <= 0.25
    assert outcome["cnn_outside"] >= 0.6
    assert outcome["conv_gap"] == 0
    assert outcome["loss_gap"] <= 1e-4
    assert max(outcome["kernel_gaps"].values()) <= 1e-4
