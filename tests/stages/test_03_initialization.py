"""Stage 3: references against their PyTorch twins, kernels against NumPy, and the lesson's run."""

import importlib.util
import runpy
from pathlib import Path

import numpy as np
import pytest

from gradschool.gpu import load_kernel
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("03_initialization")
STACKS = [(1, 5, "he", "relu"), (4, 7, "unit", "tanh"), (30, 33, "he", "relu"), (9, 1, "unit", "relu")]
SHAPES = {"w": (3, 4), "b": (4,), "scale": (1,)}
BATCH = {"w": np.ones((2, 3))}


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_03_initialization", STAGE.solutions / "twin.py")
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


def same(ours, theirs, relative=1e-10):
    """Assert equality within `relative` of each element."""
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=relative, atol=1e-300)


@pytest.mark.parametrize(("name", "variance"), [("xavier_uniform", 2 / 410), ("he_normal", 2 / 300)])
def test_initial_weights_have_the_distribution_of_their_twin(reference, twin, name, variance):
    ours = getattr(reference, name)(300, 110, np.random.default_rng(1))
    theirs = getattr(twin, name)(300, 110, np.random.default_rng(1)).numpy()
    assert ours.shape == theirs.shape == (300, 110)
    for w in (ours, theirs):
        np.testing.assert_allclose(w.var(), variance, rtol=0.03)
    shares = np.linspace(0.01, 0.99, 25)
    np.testing.assert_allclose(
        np.quantile(ours, shares), np.quantile(theirs, shares), rtol=0, atol=0.08 * variance**0.5
    )


@pytest.mark.parametrize("stack", STACKS, ids=str)
@pytest.mark.parametrize("name", ["activation_variances", "gradient_norms"])
def test_measurements_equal_their_twin(reference, twin, name, stack):
    depth, width, init, activation = stack
    ours = getattr(reference, name)(depth, width, init, np.random.default_rng(5), activation)
    same(ours, getattr(twin, name)(depth, width, init, np.random.default_rng(5), activation))


def test_he_keeps_the_signal_on_average_and_nothing_else_does(reference):
    seeds = [np.random.default_rng(seed) for seed in range(5)]
    he, xavier = (
        np.mean([np.log2(reference.activation_variances(30, 128, init, rng)) for rng in seeds], axis=0)
        for init in ("he", "xavier")
    )
    assert abs(he[-1] - he[0]) < 3
    assert xavier[-1] - xavier[0] == pytest.approx(-29, abs=3)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (1,), (2, 3, 4)], ids=str)
def test_dropout_is_linear_in_its_input_with_the_mask_of_its_backward(reference, twin, rate, training, shape):
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal(shape), rng.standard_normal(shape)
    out, cache = reference.dropout_forward(x, rate, np.random.default_rng(2), training)
    mask, _ = reference.dropout_forward(np.ones(shape), rate, np.random.default_rng(2), training)
    np.testing.assert_array_equal(out, x * mask)
    theirs = twin.dropout_backward(torch.from_numpy(dout), (torch.from_numpy(x), torch.from_numpy(mask)))
    np.testing.assert_array_equal(reference.dropout_backward(dout, cache), theirs.numpy())
    # What a mask can hold is what torch's holds.
    theirs, _ = twin.dropout_forward(torch.ones(1000), rate, np.random.default_rng(2), training)
    assert set(mask.ravel()) <= {round(float(v), 6) for v in theirs.unique()} | {
        0.0,
        1 / (1 - rate) if rate < 1 else 0.0,
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("momentum_step", {"momentum": 0.9}),
        ("momentum_step", {"momentum": 0.0}),
        ("adam_step", {}),
        ("adam_step", {"betas": (0.5, 0.75), "eps": 1e-3}),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_optimizers_equal_their_twin_for_five_steps(reference, twin, name, options, scale):
    rng = np.random.default_rng(3)
    params = {key: rng.standard_normal(shape) for key, shape in SHAPES.items()}
    state, steps, ours = {}, [], []
    for lr in (0.1, 0.1, 0.03, 0.2, 0.01):
        grads = {key: scale * rng.standard_normal(shape) for key, shape in SHAPES.items()}
        steps.append((params, grads, lr))
        params, state = getattr(reference, name)(params, grads, state, lr, **options)
        ours.append(params)
    tensors = [
        ({k: torch.from_numpy(v) for k, v in p.items()}, {k: torch.from_numpy(v) for k, v in g.items()}, lr)
        for p, g, lr in steps
    ]
    for mine, theirs in zip(ours, getattr(twin, name)(tensors, **options), strict=True):
        for key, value in mine.items():
            same(value, theirs[key])


def test_float32_stays_float32(reference):
    x = np.ones((4, 3), np.float32)
    out, cache = reference.dropout_forward(x, 0.5, np.random.default_rng(0), True)
    params, velocity = reference.momentum_step({"w": x}, {"w": x}, {}, np.float64(0.1))
    results = [out, reference.dropout_backward(x, cache), params["w"], velocity["w"]]
    params, state = reference.adam_step({"w": x}, {"w": x}, {}, np.float64(0.1))
    results += [params["w"], state["m"]["w"], state["v"]["w"]]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xavier_uniform", (0, 1, np.random.default_rng(0))),
        ("he_normal", (1, 0, np.random.default_rng(0))),
        ("activation_variances", (0, 3, "he", np.random.default_rng(0))),
        ("activation_variances", (3, 3, "large", np.random.default_rng(0))),
        ("gradient_norms", (3, 0, "he", np.random.default_rng(0))),
        ("gradient_norms", (3, 3, "he", np.random.default_rng(0), "step")),
        ("dropout_forward", (np.ones(2), 1.5, np.random.default_rng(0), True)),
        ("dropout_backward", (np.ones(2), np.ones((2, 2)))),
        ("momentum_step", (BATCH, {}, {}, 0.1)),
        ("momentum_step", (BATCH, BATCH, {}, 0.1, 1.0)),
        ("adam_step", (BATCH, {"w": np.ones(3)}, {}, 0.1)),
        ("adam_step", (BATCH, BATCH, {}, 0.1, (0.9, 1.0))),
    ],
)
def test_what_a_docstring_refuses_is_refused_with_a_sentence(reference, name, arguments):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        getattr(reference, name)(*arguments)


def test_the_hash_is_that_of_the_paper(reference):
    def by_hand(x):
        state = (x * 747796405 + 2891336453) % 2**32
        word = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) % 2**32
        return (word >> 22) ^ word

    x = np.array([0, 1, 7, 2**31, 2**32 - 1], np.uint32)
    assert reference.pcg_hash(x).tolist() == [by_hand(int(value)) for value in x]


@pytest.mark.parametrize("n", [1, 64, 1001])
@pytest.mark.parametrize("seed", [0, 9, 2**32 - 1])
def test_random_kernels_equal_numpy(kernel, reference, n, seed):
    np.testing.assert_array_equal(kernel("random_uniform", n=n, seed=seed), reference.random_uniform(n, seed))
    np.testing.assert_allclose(
        kernel("random_normal", n=n, seed=seed), reference.random_normal(n, seed), rtol=1e-3, atol=1e-3
    )


def test_random_numbers_of_neighbouring_seeds_are_uniform_normal_and_unrelated(reference):
    uniform = np.stack([reference.random_uniform(20000, seed) for seed in range(4)]).astype(np.float64)
    normal = np.stack([reference.random_normal(20000, seed) for seed in range(4)])
    for numbers, mean, std in ((uniform, 0.5, 12**-0.5), (normal, 0.0, 1.0)):
        np.testing.assert_allclose(numbers.mean(axis=1), mean, atol=0.03)
        np.testing.assert_allclose(numbers.std(axis=1), std, rtol=0.02)
        assert np.abs(np.corrcoef(numbers) - np.eye(4)).max() < 0.03
        assert abs(np.corrcoef(numbers[0, :-1], numbers[1, 1:])[0, 1]) < 0.03


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_the_dropout_kernel_is_its_own_backward(kernel, reference, rate):
    x = np.random.default_rng(1).standard_normal(131).astype(np.float32)
    kept = reference.random_uniform(131, 5) >= rate
    scale = np.where(kept, 1 / (1 - rate) if rate < 1 else 0, 0)
    for values in (x, np.ones_like(x)):
        got = kernel("dropout_forward", x=values, rate=rate, seed=5)
        np.testing.assert_allclose(got, values * scale, rtol=1e-6)


def test_the_adam_kernel_equals_numpy_for_five_steps(kernel, reference):
    rng = np.random.default_rng(2)
    w, m, v = (
        rng.standard_normal(131).astype(np.float32),
        np.zeros(131, np.float32),
        np.zeros(131, np.float32),
    )
    params, state = {"w": w.astype(np.float64)}, {}
    for t in range(1, 6):
        grad = rng.standard_normal(131).astype(np.float32)
        numbers = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
        corrections = {"m_correction": 1 - 0.9**t, "v_correction": 1 - 0.999**t}
        got = kernel("adam_step", w=w, m=m, v=v, grad=grad, **numbers, **corrections)
        # A kernel may update the caller's arrays or return new ones; both are the next step's input.
        w, m, v = got["w"], got["m"], got["v"]
        params, state = reference.adam_step(params, {"w": grad.astype(np.float64)}, state, 0.01)
        np.testing.assert_allclose(w, params["w"], rtol=1e-5, atol=1e-5)


def test_the_lesson_runs_and_reaches_its_outcomes(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the lesson's pictures need the lab extra")
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(STAGE.solutions)
    outcome = runpy.run_path(str(STAGE.lesson))
    pyplot.close("all")
    accuracies = outcome["accuracies"]
    assert max(accuracies["unit"] + accuracies["tiny"]) < 0.25
    assert min(accuracies["he"]) > 0.8
    assert np.mean(accuracies["he"]) > np.mean(accuracies["xavier"]) + 0.1
    assert min(outcome["kernel_accuracy"], outcome["numpy_accuracy"]) > 0.8
    assert outcome["early_gap"] < 1e-3
    assert outcome["bits_equal"]
    assert outcome["same_mask"]
    with_dropout, without = (np.mean(outcome["dropout_accuracy"][rate]) for rate in (0.5, 0.0))
    assert with_dropout > without + 0.02
