"""Stage 1: references against their PyTorch twins and finite differences, and the lesson's run."""

import importlib.util
import runpy
from pathlib import Path

import numpy as np
import pytest

from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("01_perceptron")
# Leading axes, d_in, d_out.
LAYERS = [((3,), 5, 2), ((), 4, 3), ((2, 3), 1, 7), ((1,), 1, 1), ((2, 1, 5), 6, 4)]
SCORES = [(3, 5), (7,), (4, 1), (2, 3, 5), (1, 130)]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_01_perceptron", STAGE.solutions / "twin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rng():
    return np.random.default_rng(1958)


def same(ours, theirs, relative=1e-12):
    """Assert equality within `relative` of the largest element."""
    theirs = theirs.numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(
        ours, theirs, rtol=0, atol=relative * max(np.abs(theirs).max(initial=0), 1e-300)
    )


def layer(rng, batch, d_in, d_out):
    return (
        rng.standard_normal((*batch, d_in)),
        rng.standard_normal((d_in, d_out)),
        rng.standard_normal(d_out),
        rng.standard_normal((*batch, d_out)),
    )


@pytest.mark.parametrize(("batch", "d_in", "d_out"), LAYERS)
def test_affine_equals_its_twin(reference, twin, rng, batch, d_in, d_out):
    x, w, b, dout = layer(rng, batch, d_in, d_out)
    out, cache = reference.affine_forward(x, w, b)
    out_twin, cache_twin = twin.affine_forward(*map(torch.from_numpy, (x, w, b)))
    same(out, out_twin)
    gradients = twin.affine_backward(torch.from_numpy(dout), cache_twin)
    for ours, theirs in zip(reference.affine_backward(dout, cache), gradients, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize(("batch", "d_in", "d_out"), LAYERS)
def test_affine_gradients_survive_finite_differences(reference, rng, batch, d_in, d_out):
    x, w, b, dout = layer(rng, batch, d_in, d_out)

    def loss(x, w, b):
        return (dout * reference.affine_forward(x, w, b)[0]).sum()

    dx, dw, db = reference.affine_backward(dout, reference.affine_forward(x, w, b)[1])
    same(reference.numerical_gradient(lambda x: loss(x, w, b), x), dx, 1e-7)
    same(reference.numerical_gradient(lambda w: loss(x, w, b), w), dw, 1e-7)
    same(reference.numerical_gradient(lambda b: loss(x, w, b), b), db, 1e-7)


@pytest.mark.parametrize("shape", SCORES)
@pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0])
def test_softmax_equals_its_twin(reference, twin, rng, shape, offset):
    x, dout = rng.standard_normal(shape) + offset, rng.standard_normal(shape)
    out = reference.softmax_forward(x)
    same(out, twin.softmax_forward(torch.from_numpy(x)))
    if shape[-1] > 1:  # with one column the gradient is 0 and has no scale to compare with
        theirs = twin.softmax_backward(torch.from_numpy(dout), torch.from_numpy(out))
        same(reference.softmax_backward(dout, out), theirs)


@pytest.mark.parametrize("shape", SCORES)
def test_softmax_gradient_survives_finite_differences(reference, rng, shape):
    x, dout = rng.standard_normal(shape), rng.standard_normal(shape)
    judged = reference.numerical_gradient(lambda x: (dout * reference.softmax_forward(x)).sum(), x)
    gradient = reference.softmax_backward(dout, reference.softmax_forward(x))
    np.testing.assert_allclose(gradient, judged, rtol=0, atol=1e-8)


def test_softmax_gives_nothing_to_impossible_columns(reference, twin):
    x = np.array([[1.0, -np.inf, 2.0], [-np.inf, -np.inf, -1e5]])
    out = reference.softmax_forward(x)
    same(out, twin.softmax_forward(torch.from_numpy(x)))
    assert out[0, 1] == 0
    assert out[1].tolist() == [0, 0, 1]


@pytest.mark.parametrize("shape", SCORES)
@pytest.mark.parametrize("n_ignored", [0, 1])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_cross_entropy_equals_its_twin(reference, twin, rng, shape, n_ignored, offset):
    logits = 3 * rng.standard_normal(shape) + offset
    labels = np.asarray(rng.integers(0, shape[-1], shape[:-1]))
    labels.reshape(-1)[:n_ignored] = -1
    loss, cache = reference.cross_entropy_forward(logits, labels)
    loss_twin, cache_twin = twin.cross_entropy_forward(torch.from_numpy(logits), torch.from_numpy(labels))
    # A loss near 0 beside logits near 1000 keeps the absolute precision of the logits.
    np.testing.assert_allclose(loss, loss_twin.item(), rtol=1e-12, atol=1e-15 * np.abs(logits).max())
    ours = reference.cross_entropy_backward(-2.5, cache)
    np.testing.assert_allclose(
        ours, twin.cross_entropy_backward(-2.5, cache_twin).numpy(), rtol=0, atol=1e-12
    )


def test_cross_entropy_gradient_survives_finite_differences(reference, rng):
    logits, labels = rng.standard_normal((2, 3, 4)), np.array([[0, -1, 3], [2, 2, 1]])
    judged = reference.numerical_gradient(lambda z: reference.cross_entropy_forward(z, labels)[0], logits)
    gradient = reference.cross_entropy_backward(1.0, reference.cross_entropy_forward(logits, labels)[1])
    np.testing.assert_allclose(gradient, judged, rtol=0, atol=1e-9)
    assert not gradient[0, 1].any()


def test_cross_entropy_of_an_improbable_label_is_finite(reference):
    loss, _ = reference.cross_entropy_forward(np.array([[0.0, 5000.0]]), np.array([0]))
    assert loss == 5000


def test_cross_entropy_of_nothing_is_zero(reference):
    loss, cache = reference.cross_entropy_forward(np.ones((3, 4)), np.full(3, -1))
    assert loss == 0
    assert not np.signbit(loss)
    assert not reference.cross_entropy_backward(1.0, cache).any()


def test_sgd_equals_its_twin(reference, twin, rng):
    params = {"w": rng.standard_normal((3, 4)), "b": rng.standard_normal(4)}
    params_twin = {name: torch.from_numpy(value) for name, value in params.items()}
    for _ in range(3):
        grads = {name: rng.standard_normal(value.shape) for name, value in params.items()}
        grads_twin = {name: torch.from_numpy(value) for name, value in grads.items()}
        params = reference.sgd_step(params, grads, 0.3)
        params_twin = twin.sgd_step(params_twin, grads_twin, 0.3)
    for name, value in params.items():
        same(value, params_twin[name])


@pytest.mark.parametrize("shape", [(50,), (4, 3), ()])
def test_accuracy_equals_its_twin(reference, twin, rng, shape):
    logits, labels = rng.standard_normal((*shape, 3)), np.asarray(rng.integers(0, 3, shape))
    ours = reference.accuracy(logits, labels)
    assert type(ours) is float
    assert ours == twin.accuracy(torch.from_numpy(logits), torch.from_numpy(labels))


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_the_perceptron_equals_its_twin(reference, twin, rng, start):
    x, y = rng.integers(-8, 9, (60, 3)) / 4, rng.choice([-1, 1], 60)
    w = np.full(3, start)
    ours = reference.perceptron_step(x, y, w, start, 0.5)
    theirs = twin.perceptron_step(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(w), start, 0.5)
    for one, other in zip(ours, theirs, strict=True):
        same(one, other)


def test_one_example_needs_no_batch_axis(reference):
    w, b = reference.perceptron_step(np.array([1.0, 2.0]), -1, np.zeros(2), 0.0, 1.0)
    assert (w.tolist(), float(b)) == ([-1, -2], -1)


def test_float32_stays_float32(reference, rng):
    x, w, b, dout = (value.astype(np.float32) for value in layer(rng, (4,), 3, 5))
    labels = np.array([0, 4, -1, 2])
    out, cache = reference.affine_forward(x, w, b)
    loss, loss_cache = reference.cross_entropy_forward(out, labels)
    probs = reference.softmax_forward(out)
    new_w, new_b = reference.perceptron_step(x, np.array([1, -1, 1, 1]), w[:, 0], 0.0, 0.1)
    results = [
        *(out, loss, probs, new_w, new_b),
        *reference.affine_backward(dout, cache),
        reference.cross_entropy_backward(1.0, loss_cache),
        reference.softmax_backward(dout, probs),
        reference.sgd_step({"w": w}, {"w": w}, np.float64(0.1))["w"],
    ]
    assert {np.asarray(value).dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("affine_forward", (np.ones((2, 3)), np.ones((4, 5)), np.ones(5))),
        ("affine_forward", (np.ones((2, 4)), np.ones((4, 5)), np.ones(1))),
        ("affine_backward", (np.ones((3, 5)), (np.ones((2, 4)), np.ones((4, 5))))),
        ("softmax_forward", (np.ones((3, 0)),)),
        ("softmax_forward", (np.array(1.0),)),
        ("softmax_backward", (np.ones((3, 1)), np.ones((3, 2)))),
        ("cross_entropy_forward", (np.ones((2, 3)), np.array([0, 3]))),
        ("cross_entropy_forward", (np.ones((2, 3)), np.array([0, -2]))),
        ("cross_entropy_forward", (np.ones((2, 3)), np.array([0.0, 1.0]))),
        ("cross_entropy_forward", (np.ones((2, 3)), np.array([0]))),
        ("sgd_step", ({"w": np.ones(2)}, {"v": np.ones(2)}, 0.1)),
        ("sgd_step", ({"w": np.ones(2)}, {"w": np.ones(1)}, 0.1)),
        ("accuracy", (np.ones((2, 3)), np.array([[0], [1]]))),
        ("accuracy", (np.ones((0, 3)), np.ones(0, int))),
        ("perceptron_step", (np.ones((2, 3)), np.array([0, 1]), np.ones(3), 0.0, 1.0)),
        ("perceptron_step", (np.ones((2, 3)), np.array([1]), np.ones(3), 0.0, 1.0)),
    ],
)
def test_what_a_docstring_refuses_is_refused_with_a_sentence(reference, name, arguments):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        getattr(reference, name)(*arguments)


def test_the_lesson_runs_and_reaches_its_outcomes(monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the lesson's pictures need the lab extra")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(STAGE.solutions)
    outcome = runpy.run_path(str(STAGE.lesson))
    pyplot.close("all")
    assert outcome["iris_separated"]
    assert outcome["iris_epochs"] <= 10
    assert outcome["test_accuracy"] >= 0.95
    # The same training on the kernels: the same losses to rounding, step by step.
    assert len(outcome["kernel_losses"]) == len(outcome["numpy_losses"])
    assert outcome["loss_gap"] <= 1e-5
    assert abs(outcome["kernel_accuracy"] - outcome["test_accuracy"]) <= 1 / 359
    assert max(outcome["kernel_gaps"].values()) <= 1e-5
    assert "accuracy on the test pictures" in capsys.readouterr().out
