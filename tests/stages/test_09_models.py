"""Stage 9's model: NumPy against PyTorch and finite differences, the KV cache, the device, and the lesson's runs."""

import importlib.util
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradschool
from gradschool.gpu import device_log, load_kernel
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("09_language_model")
# batch, seq, max_seq, n_vocab, d_model, n_heads, n_layers, d_ff
CASES = [
    (2, 5, 7, 11, 6, 3, 2, 10),
    (1, 1, 1, 3, 4, 1, 1, 5),
    (3, 7, 7, 5, 8, 2, 3, 7),
    (2, 3, 5, 4, 4, 2, 0, 3),
]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_09_models", STAGE.solutions / "twin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rng():
    return np.random.default_rng(2019)


class RealDevice:
    """`gs` with the course's kernels on the device of this process, for functions of the lesson."""

    @staticmethod
    def kernel(name: str) -> Any:
        (path,) = STAGE.root.glob(f"shaders/*/{name}")
        return load_kernel(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(gradschool, name)


@pytest.fixture(params=["interpreter", "wgpu"])
def on_device(request, monkeypatch):
    """The lesson's functions with all kernels in the interpreter, and then on a wgpu device."""
    if request.param == "wgpu":
        request.getfixturevalue("wgpu_device")
    else:
        monkeypatch.setenv("GRADSCHOOL_DEVICE", "interpreter")
    module = load_reference(STAGE)
    monkeypatch.setattr(module, "gs", RealDevice())
    return module


def gpt(reference, rng, case, dtype: Any = np.float64) -> Any:
    batch, seq, max_seq, n_vocab, d_model, n_heads, n_layers, d_ff = case
    params = reference.gpt_init(n_vocab, max_seq, d_model, n_layers, d_ff, rng)
    params = {
        name: (value + 0.3 * rng.standard_normal(value.shape)).astype(dtype) for name, value in params.items()
    }
    return rng.integers(0, n_vocab, (batch, seq)), params, {"n_layers": n_layers, "n_heads": n_heads}


def tensors(params: dict) -> dict:
    return {name: torch.from_numpy(value) for name, value in params.items()}


def same(ours: Any, theirs: Any, relative=1e-10, scale=0.0):
    """Assert equality within `relative` of the largest element, or of `scale` if that is larger."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        largest = max(float(value.abs().max()) for value in theirs.values())
        for name, value in theirs.items():
            same(ours[name], value, relative, largest)
        return
    theirs = theirs.detach().numpy()
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * max(float(np.abs(theirs).max()), scale))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_whole_gpt_equals_its_twin(reference, twin, rng, case):
    tokens, params, config = gpt(reference, rng, case)
    logits, cache = reference.gpt_forward(tokens, params, config)
    logits_twin, cache_twin = twin.gpt_forward(torch.from_numpy(tokens), tensors(params), config)
    same(logits, logits_twin)
    dlogits = rng.standard_normal(logits.shape)
    same(reference.gpt_backward(dlogits, cache), twin.gpt_backward(torch.from_numpy(dlogits), cache_twin))


def test_every_gradient_survives_finite_differences(reference, rng):
    tokens, params, config = gpt(reference, rng, CASES[0])
    labels = rng.integers(-1, 11, tokens.shape)

    def loss(changed):
        return reference.cross_entropy(reference.gpt_forward(tokens, changed, config)[0], labels)[0]

    logits, cache = reference.gpt_forward(tokens, params, config)
    grads = reference.gpt_backward(reference.cross_entropy(logits, labels)[1], cache)
    for name, value in params.items():
        direction = rng.standard_normal(value.shape)
        up = loss({**params, name: value + 1e-6 * direction})
        down = loss({**params, name: value - 1e-6 * direction})
        np.testing.assert_allclose((grads[name] * direction).sum(), (up - down) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_the_cache_gives_the_full_forward(reference, rng, case):
    tokens, params, config = gpt(reference, rng, case)
    want, _ = reference.gpt_forward(tokens, params, config)
    kv_cache: dict = {}
    for t in range(tokens.shape[1]):
        logits, kv_cache = reference.gpt_decode_step(tokens[:, t], kv_cache, params, config)
        np.testing.assert_allclose(logits, want[:, t], rtol=1e-10, atol=1e-10)
    assert all(value.shape[2] == tokens.shape[1] for value in kv_cache.values())


def test_float32_stays_float32(reference, rng):
    tokens, params, config = gpt(reference, rng, CASES[0], np.float32)
    logits, cache = reference.gpt_forward(tokens, params, config)
    _, dlogits = reference.cross_entropy(logits, tokens)
    step, kv_cache = reference.gpt_decode_step(tokens[:, 0], {}, params, config)
    results = [logits, dlogits, step, *kv_cache.values(), *reference.gpt_backward(dlogits, cache).values()]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("case", [(2, 5, 7, 11, 6, 3, 2, 10), (3, 4, 4, 5, 4, 2, 1, 7)], ids=str)
def test_a_step_on_the_kernels_equals_its_twin(on_device, twin, rng, case):
    tokens, params, config = gpt(on_device, rng, case, np.float32)
    labels = rng.integers(-1, case[3], tokens.shape)
    with device_log() as log:
        loss, grads = on_device.gpt_step_on_kernels(tokens, labels, params, config)
    wide = {name: value.astype(np.float64) for name, value in params.items()}
    want, want_grads = twin.gpt_step_on_kernels(
        torch.from_numpy(tokens), torch.from_numpy(labels), tensors(wide), config
    )
    assert abs(loss - want) < 1e-5 * max(want, 1)
    same(grads, want_grads, 2e-5)
    kinds = [kind for kind, _ in log.events]
    assert "upload" not in kinds[kinds.index("launch") :]
    assert "launch" not in kinds[kinds.index("download") :]
    assert log.n_downloads == len(params) + 1


def test_generation_on_the_kernels_equals_its_twin(on_device, twin, rng):
    tokens, params, config = gpt(on_device, rng, (3, 2, 9, 11, 6, 3, 2, 10), np.float32)
    with device_log() as log:
        got = on_device.generate_on_kernels(tokens, params, config, 6)
    want = twin.generate_on_kernels(torch.from_numpy(tokens), tensors(params), config, 6)
    np.testing.assert_array_equal(got, want.numpy())
    kinds = [kind for kind, _ in log.events]
    assert "upload" not in kinds[kinds.index("launch") :]
    assert log.n_returns == 0
    assert log.n_downloads == 6


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """The lesson, run once; its English run is shortened to 600 steps, all else is as learners see it."""
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="the lesson's pictures need the lab extra")
    pyplot.switch_backend("Agg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADSCHOOL_ENGLISH_STEPS", "600")
        patch.setenv("GRADSCHOOL_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.chdir(STAGE.solutions)
        found = runpy.run_path(str(STAGE.lesson))
    pyplot.close("all")
    return found


def test_tokens_steps_and_choices_do_in_the_lesson_what_its_text_says(outcome):
    assert outcome["round_trip"]
    assert outcome["lengths"][-1] < 0.6 * outcome["lengths"][0]
    left = {key: means[-1] for key, means in outcome["decayed"].items()}
    assert max(left["AdamW", noise] for noise in (0.01, 1.0, 10.0)) < 0.45
    assert left["L2 inside Adam", 0.01] < 0.05
    assert left["L2 inside Adam", 10.0] > 0.8
    accuracy = outcome["decay_accuracy"]
    assert min(accuracy["AdamW", 1], accuracy["AdamW", 10]) > accuracy["no decay", 1] + 0.04
    assert accuracy["AdamW", 10] > accuracy["L2", 10] + 0.03
    assert outcome["accident"]["clipped at 1"][-1, 0] < 0.2 < 2 < outcome["accident"]["not clipped"][-1, 0]
    assert outcome["step_sizes"][0] > 0.99 > 0.3 > outcome["step_sizes"][-1]
    assert np.mean(outcome["warmup_accuracy"][60]) > np.mean(outcome["warmup_accuracy"][0])
    assert outcome["entropies"]["T = 0.5"] < outcome["entropies"]["T = 1"] < outcome["entropies"]["T = 2"]
    assert (
        "the same is a string the same" in outcome["greedy_text"] or outcome["greedy_text"].count("the") > 8
    )
    assert outcome["same_choice"]
    assert outcome["same_mask"]


def test_the_grammar_is_learned_to_its_floor(outcome):
    assert abs(outcome["surprise_rate"] - outcome["rate"]) < 0.01
    assert max(outcome["grammar_gaps"]) < 0.02
    assert min(outcome["grammar_gaps"]) > 0
    # A mean over three seeds of 500 lines each.
    assert np.mean(outcome["grammar_parsed"]) >= 0.99


def test_english_beats_the_trigram(outcome):
    losses = outcome["baselines"]
    assert outcome["english_loss"] < losses["trigram"] < losses["bigram"] < losses["uniform"]
    assert outcome["by_position"][-16:].mean() < outcome["by_position"][1] < outcome["by_position"][0]


def test_the_step_and_the_writing_on_the_kernels_equal_numpy(outcome):
    assert outcome["step_gap"] < 1e-5
    assert outcome["gradient_gap"] < 1e-4
    assert np.abs(outcome["numpy_losses"] - outcome["kernel_losses"]).max() < 1e-4
    assert outcome["step_launches"] > 100
    assert outcome["step_downloads"] == len(outcome["numpy_grads"]) + 1
    assert outcome["same_generation"]
    assert outcome["generation_returns"] == 0
    assert outcome["same_text"]
    assert outcome["saved_factor"] > 10


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(outcome, tmp_path, rng):
    train, init, draw = outcome["train"], outcome["gpt_init"], outcome["write_grammar"]
    config = {"n_layers": 1, "n_heads": 2}
    fresh = init(10, 8, 8, 1, 16, rng)

    def go(**how):
        return train(
            fresh,
            config,
            lambda rng: draw(4, 8, rng)[0],
            60,
            0.01,
            np.random.default_rng(3),
            lambda params: float(params["table"].sum()),
            **how,
        )

    whole = go()
    file = tmp_path / "run.npz"
    go(file=file, save_every=10, stop_at=37)
    assert file.exists()
    params, losses, curve = go(file=file, save_every=10)
    assert not file.exists()
    assert losses == whole[1]
    assert curve == whole[2]
    for name, value in whole[0].items():
        np.testing.assert_array_equal(params[name], value)
