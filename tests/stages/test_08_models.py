"""Stage 8, blocks and models: references against PyTorch and finite differences, the faults, the lesson's run."""

import ast
import importlib.util
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradschool.grading.expect import Mismatch
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("08_transformer")
NORMS = ["pre", "post"]
LEFT_OUT = [(), ("norm",), ("residual",), ("feed_forward",), ("residual", "norm"), ("positions",)]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.stem}_08_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    return load(STAGE.solutions / "twin.py")


@pytest.fixture
def rng():
    return np.random.default_rng(2017)


def tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: tensors(item) for name, item in value.items()}
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def same(ours: Any, theirs: Any, relative=1e-10):
    """Assert equality within `relative` of the largest element; of a dict, of its largest element."""
    theirs = theirs if isinstance(theirs, dict) else {"": theirs}
    ours = ours if isinstance(ours, dict) else {"": ours}
    assert set(ours) == set(theirs)
    scale = max(float(value.detach().abs().max()) for value in theirs.values())
    for name, value in theirs.items():
        value = value.detach().numpy()
        assert ours[name].shape == value.shape, name
        np.testing.assert_allclose(ours[name], value, rtol=0, atol=relative * scale, err_msg=name)


def block_params(reference, rng, kinds, d_model, d_ff):
    params = reference.init_block(kinds, d_model, d_ff, rng, np.float64)
    return {name: value + 0.3 * rng.standard_normal(value.shape) for name, value in params.items()}


@pytest.mark.parametrize("sizes", [(2, 5, 6, 10, 3), (1, 1, 4, 3, 2), (3, 7, 5, 2, 1)], ids=str)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_the_encoder_block_equals_its_twin(reference, twin, rng, sizes, norm, without):
    batch, seq, d_model, d_ff, n_heads = sizes
    params = block_params(reference, rng, ("attn", "ff"), d_model, d_ff)
    x, dout = rng.standard_normal((2, batch, seq, d_model))
    mask = rng.random((batch, seq, seq)) < 0.6
    block = (x, params, n_heads, mask, norm, without)
    out, cache = reference.encoder_block_forward(*block)
    out_twin, cache_twin = twin.encoder_block_forward(*map(tensors, block))
    same(out, out_twin)
    dx, grads = reference.encoder_block_backward(dout, cache)
    dx_twin, grads_twin = twin.encoder_block_backward(tensors(dout), cache_twin)
    same(dx, dx_twin)
    same(grads, grads_twin)


@pytest.mark.parametrize("sizes", [(2, 5, 7, 6, 10, 3), (1, 1, 4, 4, 3, 2), (3, 6, 1, 5, 2, 1)], ids=str)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("without", LEFT_OUT, ids="+".join)
def test_the_decoder_block_equals_its_twin(reference, twin, rng, sizes, norm, without):
    batch, seq, n_keys, d_model, d_ff, n_heads = sizes
    params = block_params(reference, rng, ("self", "cross", "ff"), d_model, d_ff)
    x, dout = rng.standard_normal((2, batch, seq, d_model))
    memory, cross_mask = rng.standard_normal((batch, n_keys, d_model)), rng.random((batch, 1, n_keys)) < 0.7
    block = (x, memory, params, n_heads, reference.causal_mask(seq), cross_mask, norm, without)
    out, cache = reference.decoder_block_forward(*block)
    out_twin, cache_twin = twin.decoder_block_forward(*map(tensors, block))
    same(out, out_twin)
    gradients = twin.decoder_block_backward(tensors(dout), cache_twin)
    for ours, theirs in zip(reference.decoder_block_backward(dout, cache), gradients, strict=True):
        same(ours, theirs)


def model(reference, rng, norm, tables, without=()):
    config = {"n_heads": 3, "n_layers": 2, "norm": norm, "pad": 0, "without": without}
    params = reference.init_transformer(9, 6, 10, config, rng, np.float64)
    params = {name: value + 0.2 * rng.standard_normal(value.shape) for name, value in params.items()}
    n_out = 9
    if "two" in tables:
        n_out = 11
        params |= {"src_table": rng.standard_normal((9, 6)), "tgt_table": rng.standard_normal((11, 6))}
        del params["table"]
    if "not tied" in tables:
        params["w_out"] = rng.standard_normal((6, n_out))
    src = rng.integers(1, 9, (3, 7))
    src[1, 4:], src[2] = 0, 0
    return src, rng.integers(0, n_out, (3, 5)), params, config


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("tables", ["tied", "two tables", "not tied", "two tables, not tied"])
def test_the_model_equals_its_twin(reference, twin, rng, norm, tables):
    compare_models(reference, twin, rng, model(reference, rng, norm, tables))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("without", LEFT_OUT[1:], ids="+".join)
def test_the_model_without_a_part_equals_its_twin(reference, twin, rng, norm, without):
    compare_models(reference, twin, rng, model(reference, rng, norm, "tied", without))


def compare_models(reference, twin, rng, whole):
    src, _, params, config = whole
    logits, cache = reference.transformer_forward(*whole)
    logits_twin, cache_twin = twin.transformer_forward(*map(tensors, whole))
    same(logits, logits_twin)
    dlogits = rng.standard_normal(logits.shape)
    grads = reference.transformer_backward(dlogits, cache)
    same(grads, twin.transformer_backward(tensors(dlogits), cache_twin))
    assert list(grads) == list(params)
    written = reference.greedy_decode(src, params, config, 1, 2, 6)
    np.testing.assert_array_equal(written, twin.greedy_decode(tensors(src), tensors(params), config, 1, 2, 6))


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_of_the_model_survive_finite_differences(reference, rng, norm):
    src, tgt, params, config = model(reference, rng, norm, "tied")
    logits, cache = reference.transformer_forward(src, tgt, params, config)
    dlogits = rng.standard_normal(logits.shape)
    grads = reference.transformer_backward(dlogits, cache)
    direction = {name: rng.standard_normal(value.shape) for name, value in params.items()}

    def loss(t):
        moved = {name: value + t * direction[name] for name, value in params.items()}
        return (dlogits * reference.transformer_forward(src, tgt, moved, config)[0]).sum()

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    along = sum((grads[name] * direction[name]).sum() for name in params)
    np.testing.assert_allclose(along, slope, rtol=1e-6)


def test_a_float32_model_stays_float32(reference, rng):
    src, tgt, params, config = model(reference, rng, "pre", "tied")
    params = {name: value.astype(np.float32) for name, value in params.items()}
    logits, cache = reference.transformer_forward(src, tgt, params, config)
    grads = reference.transformer_backward(np.ones_like(logits), cache)
    assert {logits.dtype, *(grad.dtype for grad in grads.values())} == {np.dtype(np.float32)}


def test_ablate_equals_its_twin(reference, twin):
    parts = ("residual", "norm", "feed_forward", "positions", "heads")
    for one, other in itertools.product(parts, parts):
        config = {"n_heads": 4, "norm": "post"}
        ours = reference.ablate(reference.ablate(config, one), other)
        assert ours == twin.ablate(twin.ablate(config, one), other)
        assert config == {"n_heads": 4, "norm": "post"}


# Each fault of broken_transformer: its hidden test, and how it is mended.
MENDS = {
    "test_the_target_is_the_next_token": ("inputs, targets = tokens[:, :-1], tokens[:, :-1]", "inputs, targets = tokens[:, :-1], tokens[:, 1:]"),
    "test_the_model_knows_where_a_token_stands": ('F.embedding(inputs, p["table"])', 'F.embedding(inputs, p["table"]) + p["positions"][:seq]'),
    "test_every_head_has_its_own_columns": (".view(batch, n_heads, seq, d_head)", ".view(batch, seq, n_heads, d_head).transpose(1, 2)"),
    "test_scores_are_divided_by_the_root_of_d_head": ("k.transpose(-2, -1)", "k.transpose(-2, -1) / math.sqrt(d_head)"),
    "test_no_place_sees_a_later_one": ("    attn =", "    scores = scores.masked_fill(torch.ones(seq, seq).tril() == 0, -math.inf)\n    attn ="),
    "test_the_weights_of_a_query_sum_to_one": ("softmax(dim=-2)", "softmax(dim=-1)"),
    "test_attention_is_added_to_the_stream": ('x = heads @ p["wo"]', 'x = x + heads @ p["wo"]'),
    "test_padding_costs_nothing": ("targets.reshape(-1))", "targets.reshape(-1), ignore_index=pad)"),
}  # fmt: skip


def passes(test: Any, fix: Any) -> bool:
    arguments = [3] if "pad" in test.__code__.co_varnames[:3] else []
    try:
        test(SimpleNamespace(fix_the_transformer=fix), np.random.default_rng(8), *arguments)
    except Mismatch:
        return False
    return True


def test_each_hidden_test_sees_its_own_fault_and_no_other(reference):
    graders = load(STAGE.graders / "test_fix.py")
    cell = next(cell for cell in STAGE.cells if "def broken_transformer" in cell.source)
    for mended in itertools.product([False, True], repeat=8):
        source = cell.source
        for wanted, (old, new) in zip(mended, MENDS.values(), strict=True):
            assert old in source
            source = source.replace(old, new) if wanted else source
        names = dict(vars(reference))
        exec(source, names)
        with np.errstate(all="ignore"):
            found = [passes(getattr(graders, name), names["broken_transformer"]) for name in MENDS]
        assert tuple(found) == mended


def test_there_are_eight_faults_one_hidden_test_for_each_and_one_of_the_whole():
    tests = re.findall(r"^def (test_\w+)", (STAGE.graders / "test_fix.py").read_text(), re.MULTILINE)
    assert len(MENDS) == 8
    assert sorted(tests) == sorted([*MENDS, "test_the_mended_model_as_a_whole"])


def test_the_mended_transformer_equals_its_twin(reference, twin, rng):
    graders = load(STAGE.graders / "test_fix.py")
    params, tokens = graders._model(rng, d_model=6), rng.integers(0, 7, (3, 6))
    logits, loss = reference.fix_the_transformer(tokens, params, 3, 2)
    logits_twin, loss_twin = twin.fix_the_transformer(tensors(tokens), tensors(params), 3, 2)
    same(logits, logits_twin)
    assert loss == pytest.approx(loss_twin, rel=1e-12)


# The lesson runs in a process of its own, because it chooses the threads of NumPy before NumPy is loaded.
RUN_THE_LESSON = """
import runpy, sys

outcome = runpy.run_path(sys.argv[1])

# A run that is interrupted after 130 steps and started again, beside one that is not.
n_batches = []

def small(rng):
    return outcome["digit_batch"](rng, 4)

def interrupted(rng):
    n_batches.append(1)
    if len(n_batches) == 131:
        raise KeyboardInterrupt
    return small(rng)

settings = 15, outcome["DIGITS_CONFIG"], 7, 140
whole, losses = outcome["train"]("whole", small, *settings)
try:
    outcome["train"]("parts", interrupted, *settings)
except KeyboardInterrupt:
    pass
again, losses_again = outcome["train"]("parts", small, *settings)
outcome["resumed"] = len(n_batches) == 131 and losses == losses_again and all(
    (value == again[name]).all() for name, value in whole.items()
)

def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value

print("OUTCOME" + repr({name: plain(outcome[name]) for name in sys.argv[2:]}))
"""
COMPONENTS = ["vowel_neighbours", "grown", "normed", "norm_leaks", "learned_loss", "floor", "fixed_loss"]
COMPONENTS += ["norm_runs", "revived", "remembered", "form_gap", "part_gaps", "chain_gap"]
MODELS = ["digit_results", "date_accuracies", "ablations", "dates_without_ff", "whole_loss", "ahead"]
MODELS += ["stack_results", "deep_losses", "early_gap", "kernel_losses", "torch_gap", "resumed"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What the lesson found, run once in a folder of its own: it leaves checkpoints where it runs."""
    pytest.importorskip("matplotlib", reason="the lesson's pictures need the lab extra")
    run = subprocess.run(
        [sys.executable, "-c", RUN_THE_LESSON, str(STAGE.lesson), *COMPONENTS, *MODELS],
        cwd=tmp_path_factory.mktemp("lesson"),
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return ast.literal_eval(run.stdout.rpartition("OUTCOME")[2])


def test_the_components_do_what_the_lesson_says(outcome):
    assert np.mean(outcome["vowel_neighbours"]) > 0.5
    assert outcome["grown"][1.0][-1] > 1e3 > 10 > outcome["normed"][1.0][-1]
    assert min(outcome["norm_leaks"]["batch norm"].values()) > 0.1
    assert max(outcome["norm_leaks"]["layer norm"].values()) < 1e-6
    assert outcome["learned_loss"] < outcome["floor"] < outcome["fixed_loss"]
    accuracy = {name: np.mean([run[0] for run in runs]) for name, runs in outcome["norm_runs"].items()}
    assert accuracy["none"] < 0.6 < 0.9 < min(accuracy["layer"], accuracy["RMS"])
    revived = {name: np.mean([run[0] for run in runs]) for name, runs in outcome["revived"].items()}
    assert revived["ReLU", -7] < 0.2 < 0.9 < revived["GELU", -7]
    assert outcome["remembered"][True][-1] > 0.95 > 0.3 > outcome["remembered"][False][-1]
    assert outcome["form_gap"] < 5e-4


def test_the_parts_on_kernels_equal_numpy(outcome):
    assert max(outcome["part_gaps"].values()) < 1e-4
    assert outcome["chain_gap"] < 1e-4


def test_the_lesson_reverses_and_sorts_everything(outcome):
    assert outcome["digit_results"] == [[1.0, 1.0]] * 3


def test_the_lesson_turns_unseen_dates_into_iso_dates(outcome):
    assert min(outcome["date_accuracies"]) >= 0.99


def test_the_ablations_break_what_the_lesson_says(outcome):
    ablations = outcome["ablations"]
    assert max(ablations["residual"]) < 0.5
    assert ablations["positions"][0] < 0.5 < 0.9 < ablations["positions"][1]
    assert min(ablations[name][task] for name in ("norm", "feed_forward", "heads") for task in (0, 1)) > 0.95


def test_dates_hardly_need_the_feed_forward_part(outcome):
    right, loss = outcome["dates_without_ff"]
    assert right > 0.95
    assert loss > outcome["whole_loss"]


def test_a_decoder_that_looks_ahead_learns_to_copy(outcome):
    (loss, right), (loss_ahead, right_ahead) = outcome["ahead"][True], outcome["ahead"][False]
    assert max(loss, loss_ahead) < 0.1
    assert right > 0.9 > 0.2 > right_ahead


def test_norms_keep_a_deep_stream_in_range(outcome):
    lengths = {name: stream[-1] for name, (stream, _, _) in outcome["stack_results"].items()}
    assert lengths["no norm"] > 1000 * lengths["pre"] > 1000 * lengths["post"]


def test_twelve_blocks_learn_with_pre_norm_first(outcome):
    last = {name: np.mean(losses[-15:]) for name, losses in outcome["deep_losses"].items()}
    assert last["pre"] + 0.2 < min(last["post"], last["no shortcut"])
    assert last["no norm"] > 3


def test_a_step_on_the_kernels_equals_one_in_numpy(outcome):
    assert outcome["early_gap"] <= 1e-3
    assert np.mean(outcome["kernel_losses"][-5:]) < 0.5 * outcome["kernel_losses"][0]


def test_the_stand_in_equals_torch(outcome):
    assert outcome["torch_gap"] <= 1e-5


def test_a_run_that_was_interrupted_gives_the_same_numbers(outcome):
    assert outcome["resumed"]
