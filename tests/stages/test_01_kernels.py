"""Stage 01's nine reference kernels against the NumPy references and the PyTorch twin."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gradschool.gpu import load_kernel, to_device
from gradschool.grading import tolerance
from gradschool.grading.reference import load_reference
from gradschool.pack import Pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

ROOT = Path(__file__).parents[2]
STAGE = Pack(ROOT).stage("01_perceptron")
# (n_rows, n_cols): one, and sizes no workgroup divides.
SIZES = [(1, 1), (5, 67), (3, 259)]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("twin_01_perceptron", STAGE.solutions / "twin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["interpreter", "wgpu"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Calls a reference kernel by name, in the interpreter and then on a wgpu device."""
    if request.param == "wgpu":
        request.getfixturevalue("wgpu_device")
    else:
        monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    return lambda name, **values: load_kernel(STAGE.shaders / f"{name}.wgsl")(**values)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def wide(*arrays: np.ndarray) -> list[np.ndarray]:
    return [array.astype(np.float64) for array in arrays]


def tensors(*arrays: np.ndarray) -> list:
    return [torch.from_numpy(array.astype(np.float64)) for array in arrays]


def assert_close(got: np.ndarray, want: np.ndarray, tol: np.ndarray | float) -> None:
    assert got.dtype == np.float32
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= tol)


@pytest.mark.parametrize(("n_rows", "d_in", "d_out"), [(1, 1, 1), (9, 65, 7), (17, 5, 67)])
def test_affine_kernels_equal_numpy_and_torch(kernel, reference, twin, rng, n_rows, d_in, d_out) -> None:
    x, w, b = normal(rng, n_rows, d_in), normal(rng, d_in, d_out), normal(rng, d_out)
    dout = normal(rng, n_rows, d_out)
    got = (
        kernel("affine_forward", x=x, w=w, b=b),
        kernel("affine_backward_input", dout=dout, w=w),
        kernel("affine_backward_weight", x=x, dout=dout),
        kernel("affine_backward_bias", dout=dout),
    )
    x64, w64, b64, dout64 = wide(x, w, b, dout)
    out, cache = reference.affine_forward(x64, w64, b64)
    out_twin, cache_twin = twin.affine_forward(*tensors(x, w, b))
    numpy_answers = (out, *reference.affine_backward(dout64, cache))
    torch_answers = (out_twin, *twin.affine_backward(*tensors(dout), cache_twin))
    tols = (
        tolerance.matmul(x64, w64, extra=3) + 8 * tolerance.U32 * np.abs(b64),
        tolerance.matmul(dout64, w64.T),
        tolerance.matmul(x64.T, dout64),
        tolerance.summation(dout64, axis=0),
    )
    for answer, want, want_twin, tol in zip(got, numpy_answers, torch_answers, tols, strict=True):
        assert_close(answer, want, tol)
        assert_close(answer, want_twin.numpy(), tol)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_softmax_kernels_equal_numpy_and_torch(kernel, reference, twin, rng, size) -> None:
    x, dout = 5 * normal(rng, *size), normal(rng, *size)
    out = kernel("softmax_forward", x=x)
    (x64,) = wide(x)
    assert_close(out, reference.softmax_forward(x64), tolerance.softmax(x64))
    assert_close(out, twin.softmax_forward(*tensors(x)).numpy(), tolerance.softmax(x64))

    got = kernel("softmax_backward", dout=dout, out=out)
    dout64, out64 = wide(dout, out)
    products = np.abs(dout64 * out64)
    inner = tolerance.summation(products)[:, None] + 2 * tolerance.U32 * products.sum(axis=1, keepdims=True)
    tol = out64 * (inner + 3 * tolerance.U32 * (np.abs(dout64) + np.abs(products).sum(axis=1, keepdims=True)))
    assert_close(got, reference.softmax_backward(dout64, out64), tol + tolerance.TINY32)
    # The twin softmaxes log(out) again: the row's own rounding, no more than its sum is off 1, comes back.
    slack = np.abs(out64.sum(axis=1, keepdims=True) - 1) * (np.abs(dout64).max() + products.sum()) * out64
    assert_close(got, twin.softmax_backward(*tensors(dout, out)).numpy(), tol + 2 * slack + tolerance.TINY32)


def test_softmax_kernel_gives_impossible_columns_exactly_zero(kernel, rng) -> None:
    x = normal(rng, 4, 131)
    impossible = rng.random(x.shape) < 0.7
    impossible[:, 130] = False
    x[impossible] = -np.inf
    out = kernel("softmax_forward", x=x)
    assert np.all(out[impossible] == 0)
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cross_entropy_kernels_equal_numpy_and_torch(kernel, reference, twin, rng, size) -> None:
    n_rows, n_classes = size
    logits = 4 * normal(rng, *size)
    labels = rng.integers(-1, n_classes, n_rows).astype(np.int32)
    labels[0] = n_classes - 1
    n_counted = int(np.sum(labels >= 0))
    losses = kernel("cross_entropy_forward", logits=logits, labels=labels)
    scale = float(np.float32(1 / n_counted))
    dlogits = kernel("cross_entropy_backward", logits=logits, labels=labels, scale=scale)

    (logits64,) = wide(logits)
    loss, cache = reference.cross_entropy_forward(logits64, labels)
    loss_twin, cache_twin = twin.cross_entropy_forward(
        torch.from_numpy(logits64), torch.from_numpy(labels.astype(np.int64))
    )
    assert np.all(losses[labels < 0] == 0)
    mean = np.asarray(losses.sum(dtype=np.float64) / n_counted, np.float32)
    tol = tolerance.log_sum_exp(logits64).max() + 32 * tolerance.U32 * (1 + np.abs(logits64).max())
    assert_close(mean, loss, tol)
    assert_close(mean, loss_twin.numpy(), tol)

    tol = scale * tolerance.softmax(logits64) + 4 * tolerance.U32 * scale
    dloss = scale * n_counted
    assert_close(dlogits, reference.cross_entropy_backward(dloss, cache), tol)
    assert_close(dlogits, twin.cross_entropy_backward(dloss, cache_twin).numpy(), tol)


def test_sgd_kernel_equals_numpy_and_torch_and_leaves_its_input_alone(kernel, reference, twin, rng) -> None:
    w, grad, lr = normal(rng, 131), normal(rng, 131), float(np.float32(0.3))
    before = w.copy()
    got = kernel("sgd_step", w=w, grad=grad, lr=lr)
    w64, grad64 = wide(w, grad)
    want = reference.sgd_step({"w": w64}, {"w": grad64}, lr)["w"]
    want_twin = twin.sgd_step({"w": torch.from_numpy(w64)}, {"w": torch.from_numpy(grad64)}, lr)["w"]
    tol = 1.5 * tolerance.U32 * (np.abs(lr * grad64) + np.abs(want))
    assert_close(got, want, tol)
    assert_close(got, want_twin.numpy(), tol)
    assert np.array_equal(w, before)


def test_the_kernels_chain_into_a_training_step_that_lowers_the_loss(kernel, rng) -> None:
    """The lesson's run in small: forward, loss, backward and update without leaving the device."""
    n_rows, d_in, n_classes = 21, 9, 5
    x, labels = to_device(normal(rng, n_rows, d_in)), rng.integers(0, n_classes, n_rows).astype(np.int32)
    w, b = to_device(0.1 * normal(rng, d_in, n_classes)), to_device(np.zeros(n_classes, np.float32))
    history = []
    for _ in range(5):
        logits = kernel("affine_forward", x=x, w=w, b=b)
        losses = kernel("cross_entropy_forward", logits=logits, labels=labels)
        history.append(float(losses.numpy().mean()))
        dlogits = kernel("cross_entropy_backward", logits=logits, labels=labels, scale=1 / n_rows)
        dw, db = (
            kernel("affine_backward_weight", x=x, dout=dlogits),
            kernel("affine_backward_bias", dout=dlogits),
        )
        w = step(kernel, w, dw)
        b = step(kernel, b, db)
    assert np.all(np.diff(history) < 0)


def step(kernel, w, grad):
    """One update of an array of any shape: the kernel sees a flat one."""
    flat = kernel("sgd_step", w=w.numpy().ravel(), grad=grad.numpy().ravel(), lr=0.5)
    return to_device(flat.reshape(w.shape))
