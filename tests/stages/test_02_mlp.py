"""Stage 2: references and kernels against their PyTorch twins and finite differences, and the lesson's run."""

import importlib.util
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gradschool.gpu import load_kernel
from gradschool.grading import tolerance
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("02_mlp")
SHAPES = [(), (1,), (7,), (3, 5), (2, 1, 3)]
BENDS = ["relu", "sigmoid", "tanh", "leaky_relu"]
SIZES = [(5, 3), (6, 7, 4), (1, 1, 1), (3, 5, 8, 2), (4, 4, 4, 4), (2,) * 13]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_02_mlp", STAGE.solutions / "twin.py")
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
        monkeypatch.delenv("GRADSCHOOL_DEVICE", raising=False)
    else:
        monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    return lambda name, **values: load_kernel(STAGE.shaders / f"{name}.wgsl")(**values)


@pytest.fixture
def rng():
    return np.random.default_rng(1969)


def same(ours, theirs, relative=1e-12):
    """Assert equality within `relative` of the largest element."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert np.shape(ours) == theirs.shape
    scale = max(np.abs(theirs).max(initial=0), 1e-300)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * scale)


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def weights(rng, sizes):
    params = {}
    for i, (d_in, d_out) in enumerate(pairwise(sizes)):
        params[f"w{i}"] = rng.standard_normal((d_in, d_out)) * np.sqrt(2 / d_in)
        params[f"b{i}"] = 0.3 + rng.standard_normal(d_out)
    return params


def tensors(params):
    return {name: torch.from_numpy(value) for name, value in params.items()}


@pytest.mark.parametrize("name", BENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_bends_equal_their_twins(reference, twin, rng, name, shape, scale):
    x, dout = np.asarray(scale * rng.standard_normal(shape)), np.asarray(rng.standard_normal(shape))
    x[np.asarray(rng.random(shape)) < 0.2] = 0.0
    out, cache = getattr(reference, f"{name}_forward")(x)
    out_twin, cache_twin = getattr(twin, f"{name}_forward")(torch.from_numpy(x))
    same(out, out_twin)
    dx = getattr(reference, f"{name}_backward")(dout, cache)
    dx_twin = getattr(twin, f"{name}_backward")(torch.from_numpy(dout), cache_twin)
    np.testing.assert_allclose(dx, dx_twin.numpy(), rtol=0, atol=1e-14 * np.abs(dout).max())


@pytest.mark.parametrize("name", BENDS)
def test_bends_survive_the_judge(reference, rng, name):
    x, dout = rng.standard_normal((6, 5)), rng.standard_normal((6, 5))
    forward, backward = getattr(reference, f"{name}_forward"), getattr(reference, f"{name}_backward")
    for seed in range(5):
        v = np.random.default_rng(seed).standard_normal(x.shape)
        slope = reference.check_gradient(forward, x, dout, np.random.default_rng(seed))
        assert abs(slope - np.sum(backward(dout, forward(x)[1]) * v)) < 1e-7


def test_sigmoid_and_tanh_keep_their_digits_at_the_ends(reference):
    left = reference.sigmoid_forward(np.array([-40.0, -700.0]))[0]
    np.testing.assert_allclose(left, np.exp([-40.0, -700.0]), rtol=1e-14)
    assert 4e-42 < reference.sigmoid_forward(np.array([-95], np.float32))[0][0] < 7e-42
    assert reference.tanh_forward(np.array([1e-17, -1e5]))[0].tolist() == [1e-17, -1.0]


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_leaky_relu_equals_its_twin_for_every_slope(reference, twin, rng, slope):
    x, dout = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    x[0] = 0
    out, cache = reference.leaky_relu_forward(x, slope)
    out_twin, cache_twin = twin.leaky_relu_forward(torch.from_numpy(x), slope)
    same(out, out_twin)
    same(
        reference.leaky_relu_backward(dout, cache),
        twin.leaky_relu_backward(torch.from_numpy(dout), cache_twin),
    )


@pytest.mark.parametrize("case", [(3, 5, 2), (1, 1, 1), (6, 1, 3), (1, 7, 4)], ids=str)
def test_collapsing_equals_its_twin(reference, twin, rng, case):
    d_in, d_hidden, d_out = case
    shapes = ((d_in, d_hidden), (d_hidden,), (d_hidden, d_out), (d_out,))
    args = [rng.standard_normal(shape) for shape in shapes]
    for ours, theirs in zip(
        reference.collapse_affine(*args), twin.collapse_affine(*map(torch.from_numpy, args)), strict=True
    ):
        same(ours, theirs)


@pytest.mark.parametrize("n", [2, 3, 17])
def test_the_interpolant_equals_its_twin_and_goes_through_the_points(reference, twin, rng, n):
    knots, values = np.cumsum(rng.uniform(0.1, 1, n)), rng.standard_normal(n)
    ours = reference.relu_interpolant(knots, values)
    theirs = twin.relu_interpolant(*map(torch.from_numpy, (knots, values)))
    for name, value in ours.items():
        same(value, theirs[name], 1e-10)
    x = rng.uniform(knots[0], knots[-1], (40, 1))
    same(reference.mlp_forward(x, ours)[0][:, 0], np.interp(x[:, 0], knots, values), 1e-10)


@pytest.mark.parametrize("hidden", [(3,), (9,), (4, 5), (3, 3, 3)], ids=str)
def test_counting_pieces_equals_the_twins_count_on_a_grid(reference, twin, hidden):
    found = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        params = weights(rng, (1, *hidden, 1))
        on_grid = twin.linear_regions(tensors(params), -2.0, 2.0)
        # A corner between two grid points shows once, because slopes are taken in single points.
        assert reference.linear_regions(params, -2.0, 2.0) == on_grid
        found += on_grid
    assert found > 15


def test_pieces_of_a_tower_of_tents_double_with_every_layer(reference):
    params = {"w0": np.ones((1, 2)), "b0": np.array([0, -0.5])}
    for n in range(1, 9):
        top = {f"w{n}": np.array([[2.0], [-4.0]]), f"b{n}": np.zeros(1)}
        assert reference.linear_regions({**params, **top}, 0.0, 1.0) == 2**n
        params |= {f"w{n}": np.array([[2.0, 2.0], [-4.0, -4.0]]), f"b{n}": np.array([0, -0.5])}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("batch", [(1,), (9,), (), (2, 3)], ids=str)
def test_the_network_equals_its_twin(reference, twin, rng, sizes, batch):
    x, params = rng.standard_normal((*batch, sizes[0])), weights(rng, sizes)
    dlogits = rng.standard_normal((*batch, sizes[-1]))
    logits, cache = reference.mlp_forward(x, params)
    logits_twin, cache_twin = twin.mlp_forward(torch.from_numpy(x), tensors(params))
    same(logits, logits_twin)
    ours = reference.mlp_backward(dlogits, cache)
    theirs = twin.mlp_backward(torch.from_numpy(dlogits), cache_twin)
    assert set(ours) == set(params) == set(theirs)
    for name, value in ours.items():
        same(value, theirs[name])


@pytest.mark.parametrize("sizes", [(5, 3), (6, 7, 4), (3, 5, 8, 2)], ids=str)
def test_the_network_survives_the_judge(reference, rng, sizes):
    x, params = rng.standard_normal((4, sizes[0])), weights(rng, sizes)
    dlogits = rng.standard_normal((4, sizes[-1]))
    grads = reference.mlp_backward(dlogits, reference.mlp_forward(x, params)[1])
    for name, value in params.items():

        def moved(at, name=name):
            return reference.mlp_forward(x, {**params, name: at})

        slope = reference.check_gradient(moved, value, dlogits, np.random.default_rng(3))
        v = np.random.default_rng(3).standard_normal(value.shape)
        assert abs(slope - np.sum(grads[name] * v)) < 1e-6 * max(1, abs(slope))


@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 1, 3)], ids=str)
def test_the_judge_equals_its_twin(reference, twin, rng, shape):
    x, dout = np.asarray(rng.standard_normal(shape)), np.asarray(rng.standard_normal(shape))
    ours = reference.check_gradient(np.sin, x, dout, np.random.default_rng(8))
    theirs = twin.check_gradient(
        torch.sin, torch.from_numpy(x), torch.from_numpy(dout), np.random.default_rng(8)
    )
    assert type(ours) is float
    assert abs(ours - theirs) < 1e-8


def test_float32_stays_float32(reference, rng):
    x, dout = normal(rng, 4, 5), normal(rng, 4, 5)
    params = {name: value.astype(np.float32) for name, value in weights(rng, (5, 6, 3)).items()}
    results = []
    for name in BENDS:
        out, cache = getattr(reference, f"{name}_forward")(x)
        results += [out, getattr(reference, f"{name}_backward")(dout, cache)]
    logits, cache = reference.mlp_forward(x, params)
    results += [logits, *reference.mlp_backward(logits, cache).values()]
    results += [*reference.collapse_affine(params["w0"], params["b0"], params["w1"], params["b1"])]
    results += [*reference.relu_interpolant(np.arange(4, dtype=np.float32), normal(rng, 4)).values()]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("collapse_affine", (np.ones((2, 3)), np.ones(3), np.ones((2, 2)), np.ones(2))),
        ("collapse_affine", (np.ones((2, 3)), np.ones((2, 3)), np.ones((3, 2)), np.ones(2))),
        ("collapse_affine", (np.ones((2, 3)), np.ones(3), np.ones((3, 2)), np.ones(1))),
        ("relu_backward", (np.ones((3, 1)), (np.ones((3, 4)),))),
        ("sigmoid_backward", (np.ones((3, 1)), (np.ones((3, 4)),))),
        ("tanh_backward", (np.ones((3, 1)), (np.ones((3, 4)),))),
        ("leaky_relu_backward", (np.ones((3, 1)), (np.ones((3, 4)), 0.1))),
        ("leaky_relu_forward", (np.ones(3), -0.1)),
        ("relu_interpolant", (np.array([0.0, 0.0]), np.ones(2))),
        ("relu_interpolant", (np.array([0.0]), np.ones(1))),
        ("linear_regions", ({"w0": np.ones((1, 1)), "b0": np.ones(1)}, 1.0, 1.0)),
        ("linear_regions", ({"w0": np.ones((2, 1)), "b0": np.ones(1)}, 0.0, 1.0)),
        ("mlp_forward", (np.ones((2, 3)), {})),
        ("mlp_forward", (np.ones((2, 3)), {"w0": np.ones((3, 2)), "b1": np.ones(2)})),
        ("mlp_forward", (np.ones((2, 3)), {"w0": np.ones((4, 2)), "b0": np.ones(2)})),
        ("check_gradient", (np.sin, np.ones(3), np.ones(1), np.random.default_rng(0))),
    ],
)
def test_what_a_docstring_refuses_is_refused_with_a_sentence(reference, name, arguments):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        getattr(reference, name)(*arguments)


@pytest.mark.parametrize("n", [1, 63, 131, 1000])
def test_relu_kernels_equal_numpy_and_torch_bit_for_bit(kernel, reference, twin, rng, n):
    x, dout = normal(rng, n), normal(rng, n)
    x[rng.random(n) < 0.2] = 0
    out, dx = kernel("relu_forward", x=x), kernel("relu_backward", dout=dout, x=x)
    np.testing.assert_array_equal(out, reference.relu_forward(x)[0])
    np.testing.assert_array_equal(dx, reference.relu_backward(dout, (x,)))
    np.testing.assert_array_equal(
        dx, twin.relu_backward(torch.from_numpy(dout), (torch.from_numpy(x),)).numpy()
    )
    # The forward's output serves as x: it is positive in the same places.
    np.testing.assert_array_equal(dx, kernel("relu_backward", dout=dout, x=out))


@pytest.mark.parametrize(("n_rows", "n_inner", "n_cols"), [(1, 1, 1), (9, 65, 7), (17, 5, 67), (16, 32, 48)])
def test_product_kernels_equal_numpy_and_torch(kernel, reference, twin, rng, n_rows, n_inner, n_cols):
    a, b, bias = normal(rng, n_rows, n_inner), normal(rng, n_inner, n_cols), normal(rng, n_cols)
    a64, b64, bias64 = (value.astype(np.float64) for value in (a, b, bias))
    tol = tolerance.matmul(a64, b64, extra=3)
    product = kernel("matmul_tiled", a=a, b=b)
    assert np.all(np.abs(product - twin.matmul_tiled(*map(torch.from_numpy, (a64, b64))).numpy()) <= tol)
    assert np.all(np.abs(product - a64 @ b64) <= tol)
    fused = kernel("affine_relu_forward", x=a, w=b, b=bias)
    want = reference.relu_forward(reference.affine_forward(a64, b64, bias64)[0])[0]
    tol = tol + 8 * tolerance.U32 * np.abs(bias64)
    assert np.all(np.abs(fused - want) <= tol)
    want = twin.affine_relu_forward(*map(torch.from_numpy, (a64, b64, bias64))).numpy()
    assert np.all(np.abs(fused - want) <= tol)


def test_every_figure_the_lesson_shows_is_there_and_none_lies_about():
    text = STAGE.lesson.read_text(encoding="utf-8")
    figures = sorted(path.name for path in (STAGE.solutions / "figures").iterdir())
    assert figures
    assert all(text.count(f"(figures/{name})") == 1 for name in figures)
    assert text.count("(figures/") == len(figures)


def test_the_lesson_runs_and_reaches_its_outcomes(monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the lesson's pictures need the lab extra")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(STAGE.solutions)
    outcome = runpy.run_path(str(STAGE.lesson))
    pyplot.close("all")
    assert outcome["best"] == 3
    assert (outcome["wide_pieces"], outcome["deep_pieces"]) == (21, 1024)
    assert max(outcome["judge_gaps"].values()) < 1e-7
    # No line separates the two problems, and 16 hidden neurons do, whatever the seed.
    assert max(outcome["perceptron_accuracy"].values()) < 0.97
    assert outcome["perceptron_accuracy"]["XOR"] <= 0.76
    assert all(min(found) == 1.0 for found in outcome["mlp_accuracies"].values())
    # The text says so: each number is fetched a sixteenth as often.
    assert 16 <= outcome["loads"]["one by one"] / outcome["loads"]["tiled"] < 17
    # The same training on the kernels: the same losses to rounding, step by step.
    assert len(outcome["kernel_losses"]) == len(outcome["numpy_losses"])
    assert outcome["loss_gap"] <= 1e-5
    assert outcome["kernel_moons_accuracy"] == 1.0
    assert outcome["n_numbers"] == 9088
    # Each training digit at one place: learned by heart at first, then read after careful training.
    assert outcome["canvas"][0].shape == (1438, 256)
    assert outcome["canvas"][2].shape == (1436, 256)
    _, on_train, on_test = outcome["first_runs"]["MLP"]
    assert on_train > 0.99
    assert 0.45 < on_test < 0.62
    assert max(outcome["canvas_accuracies"]["softmax regression"]) < 0.25
    assert min(outcome["canvas_accuracies"]["MLP"]) >= 0.65
    assert outcome["by_places"]["MLP"][-1] > outcome["by_places"]["MLP"][0] + 0.2
    assert abs(outcome["kernel_accuracy"] - outcome["canvas_accuracies"]["MLP"][0]) <= 2 / 1436
    assert "accuracy on the test pictures" in capsys.readouterr().out
