"""Stage 0: reference kernels against NumPy and the PyTorch twin, and the lesson's run."""

from __future__ import annotations

import importlib.util
import runpy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from gradschool.gpu import load_kernel
from gradschool.grading import tolerance
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("00_first_kernel")
LENGTHS = [1, 63, 64, 65, 131, 1000]
SHAPES = [(1, 1), (3, 5), (9, 7), (5, 64), (4, 65), (17, 33), (2, 1000), (70, 3)]

Kernel = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def twin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("twin_00_first_kernel", STAGE.solutions / "twin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["interpreter", "wgpu"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Calls a reference kernel by name, in the interpreter and then on a wgpu device."""
    if request.param == "wgpu":
        request.getfixturevalue("wgpu_device")
        monkeypatch.delenv("GRADSCHOOL_DEVICE", raising=False)
    else:
        monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    return lambda name, **values: load_kernel(STAGE.shaders / f"{name}.wgsl")(**values)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def normal(rng: np.random.Generator, shape: Any) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def numpy_of(tensor: Any) -> np.ndarray:
    return tensor.numpy()


@pytest.mark.parametrize("n", LENGTHS)
def test_add_forward_equals_numpy_and_torch_bit_for_bit(kernel, twin, rng, n) -> None:
    a, b = normal(rng, n), normal(rng, n)
    got = kernel("add_forward", a=a, b=b)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, a + b)
    np.testing.assert_array_equal(got, numpy_of(twin.add_forward(torch.from_numpy(a), torch.from_numpy(b))))


@pytest.mark.parametrize(("alpha", "beta"), [(0.75, -1.5), (-2.0, 0.0), (0.0, 3.0)])
@pytest.mark.parametrize("n", LENGTHS)
def test_scale_shift_equals_numpy_and_torch_to_one_rounding(kernel, twin, rng, n, alpha, beta) -> None:
    x = normal(rng, n)
    got = kernel("scale_shift", x=x, alpha=alpha, beta=beta)
    x64 = x.astype(np.float64)
    bound = tolerance.elementwise(2 * np.abs(alpha * x64) + abs(beta), 1.5)
    assert np.all(np.abs(got - (alpha * x64 + beta)) <= bound)
    want = numpy_of(twin.scale_shift(torch.from_numpy(x64), alpha, beta))
    assert np.all(np.abs(got - want) <= bound)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_transpose_equals_numpy_and_torch_bit_for_bit(kernel, twin, rng, shape) -> None:
    x = normal(rng, shape)
    got = kernel("transpose", x=x)
    np.testing.assert_array_equal(got, x.T)
    np.testing.assert_array_equal(got, numpy_of(twin.transpose(torch.from_numpy(x))))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_row_sum_equals_numpy_and_torch_to_rounding(kernel, twin, rng, shape) -> None:
    x = normal(rng, shape)
    got = kernel("row_sum", x=x)
    x64 = x.astype(np.float64)
    bound = tolerance.summation(x64)
    assert np.all(np.abs(got - x64.sum(axis=1)) <= bound)
    assert np.all(np.abs(got - numpy_of(twin.row_sum(torch.from_numpy(x64)))) <= bound)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_row_sum_of_integers_is_exact(kernel, rng, shape) -> None:
    x = rng.integers(-8191, 8192, shape).astype(np.float32)
    np.testing.assert_array_equal(kernel("row_sum", x=x), x.sum(axis=1, dtype=np.float64))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_row_max_equals_numpy_and_torch_bit_for_bit(kernel, twin, rng, shape) -> None:
    for x in (normal(rng, shape), -200 - np.abs(normal(rng, shape))):
        got = kernel("row_max", x=x)
        np.testing.assert_array_equal(got, x.max(axis=1))
        np.testing.assert_array_equal(got, numpy_of(twin.row_max(torch.from_numpy(x))))


@pytest.mark.parametrize("n_cols", [1, 5, 64, 130])
def test_row_max_of_a_row_of_minus_infinity_is_minus_infinity(kernel, n_cols) -> None:
    x = np.full((3, n_cols), -np.inf, np.float32)
    x[1, n_cols // 2] = -3e38
    assert kernel("row_max", x=x).tolist() == x.max(axis=1).tolist()


@pytest.mark.parametrize("n_bins", [1, 10, 300])
@pytest.mark.parametrize("n", LENGTHS)
def test_histogram_equals_numpy_and_torch_and_ignores_the_rest(kernel, twin, rng, n, n_bins) -> None:
    x = rng.integers(-n_bins, 2 * n_bins, n).astype(np.int32)
    got = kernel("histogram", x=x, n_bins=n_bins)
    assert got.dtype == np.uint32
    inside = x[(x >= 0) & (x < n_bins)]
    np.testing.assert_array_equal(got, np.bincount(inside, minlength=n_bins))
    np.testing.assert_array_equal(got, numpy_of(twin.histogram(torch.from_numpy(x), n_bins)))


def test_workgroups_for_is_the_smallest_cover(twin) -> None:
    reference = load_reference(STAGE)
    for size in (1, 7, 64, 256):
        for n in (0, 1, size - 1, size, size + 1, 1000, 2**60 + 1):
            k = reference.workgroups_for(n, size)
            assert isinstance(k, int)
            assert k * size >= n
            assert n > (k - 1) * size or k == 0
            assert k == twin.workgroups_for(n, size)


@pytest.mark.parametrize(("n", "size"), [(-1, 64), (10, 0), (10, -4)])
def test_workgroups_for_refuses_impossible_sizes(n, size) -> None:
    with pytest.raises(ValueError):
        load_reference(STAGE).workgroups_for(n, size)


def test_every_figure_the_lesson_shows_is_there_and_none_lies_about() -> None:
    text = STAGE.lesson.read_text(encoding="utf-8")
    figures = sorted(path.name for path in (STAGE.solutions / "figures").iterdir())
    assert figures
    assert all(text.count(f"(figures/{name})") == 1 for name in figures)
    assert text.count("(figures/") == len(figures)


def test_the_lesson_runs_and_its_kernels_read_nine_digits_in_ten(monkeypatch, capsys) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the lesson's pictures need the lab extra")
    pyplot.switch_backend("Agg")
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))
    monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    outcome = runpy.run_path(str(STAGE.lesson))
    assert outcome["accuracy"] >= 0.90
    # NumPy in float64 may at most see one near tie the other way.
    assert abs(outcome["accuracy"] - outcome["numpy_accuracy"]) <= 1 / 359
    assert outcome["confusion"].sum() == 359
    assert outcome["level_counts"].sum() == 1797 * 64
    # The lesson says that the tree beats every serial order; so it must.
    errors = outcome["sum_errors"]
    assert all(errors["your row_sum"] < error for order, error in errors.items() if order != "your row_sum")
    assert "unseen digits read correctly" in capsys.readouterr().out
