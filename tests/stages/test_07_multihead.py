"""Stage 7: references against their PyTorch twins and finite differences, kernels, and the lesson's run."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradschool.gpu import load_kernel
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("07_multihead")
# batch, queries, keys, heads, d_head
CASES = [(2, 5, 7, 3, 4), (1, 1, 1, 1, 1), (3, 4, 6, 3, 2), (2, 6, 5, 1, 5), (1, 9, 2, 5, 1)]
NAMES = ("wq", "wk", "wv", "wo")


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_07_multihead", STAGE.solutions / "twin.py")
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


def same(ours: Any, theirs: Any, relative=1e-10):
    """Assert equality within `relative` of the largest element."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            same(ours[name], value, relative)
        return
    theirs = theirs.detach().numpy()
    assert np.shape(ours) == theirs.shape
    size = max(float(np.abs(theirs).max()), 1e-3)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * size)


def layer(rng, case) -> Any:
    batch, n_queries, n_keys, n_heads, d_head = case
    d_model = n_heads * d_head
    params = {name: rng.standard_normal((d_model, d_model)) / np.sqrt(d_model) for name in NAMES}
    x_q, x_kv = (2 * rng.standard_normal((batch, n, d_model)) for n in (n_queries, n_keys))
    return x_q, x_kv, params, n_heads


def masks(rng, case) -> Any:
    batch, n_queries, n_keys, n_heads, _ = case
    causal = np.tri(n_queries, n_keys, dtype=bool)
    padding = (np.arange(n_keys) < rng.integers(1, n_keys + 1, (batch, 1)))[:, None, None]
    blind = rng.random((batch, 1, n_queries, n_keys)) < 0.4
    blind[-1] = False
    per_head = rng.random((batch, n_heads, n_queries, n_keys)) < 0.5
    return [None, causal, padding, causal & padding, blind, per_head]


@pytest.mark.parametrize("shape", [(2, 5, 12), (1, 1, 3), (7, 6), (2, 3, 4, 9)], ids=str)
def test_splitting_and_merging_equal_their_twins(reference, twin, rng, shape):
    x = rng.standard_normal(shape)
    heads = reference.split_heads(x, 3)
    same(heads, twin.split_heads(tensors(x), 3), 0)
    same(reference.merge_heads(heads), twin.merge_heads(twin.split_heads(tensors(x), 3)), 0)
    np.testing.assert_array_equal(reference.merge_heads(heads), x)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("which", range(6))
def test_multi_head_attention_equals_its_twin_forward_and_backward(reference, twin, rng, case, which):
    x_q, x_kv, params, n_heads = layer(rng, case)
    mask = masks(rng, case)[which]
    out, cache = reference.multi_head_attention_forward(x_q, x_kv, params, n_heads, mask)
    arguments = (tensors(x_q), tensors(x_kv), tensors(params), n_heads)
    out_twin, cache_twin = twin.multi_head_attention_forward(
        *arguments, None if mask is None else tensors(mask)
    )
    same(out, out_twin)
    dout = rng.standard_normal(out.shape)
    got = reference.multi_head_attention_backward(dout, cache)
    want = twin.multi_head_attention_backward(tensors(dout), cache_twin)
    for ours, theirs in zip(got, want, strict=True):
        same(ours, theirs)


def test_the_layer_is_the_one_of_torch(reference, rng):
    x_q, x_kv, params, n_heads = layer(rng, CASES[0])
    mask = masks(rng, CASES[0])[1]
    attention = torch.nn.MultiheadAttention(12, n_heads, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.from_numpy(np.vstack([params[name].T for name in NAMES[:3]])))
        attention.out_proj.weight.copy_(torch.from_numpy(params["wo"].T))
        want, weights = attention(
            *map(torch.from_numpy, (x_q, x_kv, x_kv)),
            attn_mask=torch.from_numpy(~mask),
            average_attn_weights=False,
        )
    out, cache = reference.multi_head_attention_forward(x_q, x_kv, params, n_heads, mask)
    same(out, want)
    same(cache["attn"], weights)


def test_gradients_of_self_attention_equal_finite_differences(reference, rng):
    """One sequence plays both parts, so dx_q and dx_kv are added."""
    x, _, params, n_heads = layer(rng, (2, 5, 5, 3, 2))
    mask = masks(rng, (2, 5, 5, 3, 2))[3]
    dout = rng.standard_normal(x.shape)

    def loss(x, params):
        return float((dout * reference.multi_head_attention_forward(x, x, params, n_heads, mask)[0]).sum())

    _, cache = reference.multi_head_attention_forward(x, x, params, n_heads, mask)
    dx_q, dx_kv, grads = reference.multi_head_attention_backward(dout, cache)
    values = {"x": x, **params}
    slopes = {"x": dx_q + dx_kv, **grads}
    for name, slope in slopes.items():
        direction, step = rng.standard_normal(slope.shape), 1e-6
        ends = []
        for sign in (1, -1):
            moved = {**values, name: values[name] + sign * step * direction}
            ends.append(loss(moved["x"], {n: moved[n] for n in NAMES}))
        want = float((slope * direction).sum())
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 8), (7, 5), (1, 1), (40, 33)], ids=str)
def test_sinusoidal_positions_equal_their_twin(reference, twin, shape):
    same(reference.sinusoidal_positions(*shape), twin.sinusoidal_positions(*shape))


@pytest.mark.parametrize("shape", [(2, 5, 6), (5, 2), (3, 2, 5, 10)], ids=str)
def test_rotary_equals_its_twin_forward_and_backward(reference, twin, rng, shape):
    x, positions = rng.standard_normal(shape), np.array([-2, 0, 7, 7, 500])
    same(reference.rotary_forward(x, positions), twin.rotary_forward(tensors(x), tensors(positions)))
    same(reference.rotary_backward(x, positions), twin.rotary_backward(tensors(x), tensors(positions)))
    small = positions.astype(np.uint8)
    np.testing.assert_allclose(
        reference.rotary_backward(reference.rotary_forward(x, small), small), x, atol=1e-12
    )


def test_float32_stays_float32(reference, rng):
    x_q, x_kv, params, n_heads = layer(rng, CASES[0])
    x_q, x_kv = x_q.astype(np.float32), x_kv.astype(np.float32)
    params = {name: value.astype(np.float32) for name, value in params.items()}
    mask = masks(rng, CASES[0])[4]
    out, cache = reference.multi_head_attention_forward(x_q, x_kv, params, n_heads, mask)
    dx_q, dx_kv, grads = reference.multi_head_attention_backward(out, cache)
    turned = reference.rotary_forward(x_q, np.arange(5))
    results = [out, cache["attn"], dx_q, dx_kv, turned, *grads.values()]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("case", [(1, 1, 1, 1), (2, 5, 3, 4), (3, 13, 5, 7)], ids=str)
def test_head_kernels_equal_numpy(kernel, reference, rng, case):
    n_batch, seq, n_heads, d_head = case
    x = rng.standard_normal((n_batch, seq, n_heads * d_head)).astype(np.float32)
    heads = kernel("split_heads", x=x, n_heads=n_heads, d_head=d_head)
    np.testing.assert_array_equal(heads, reference.split_heads(x, n_heads))
    np.testing.assert_array_equal(kernel("merge_heads", x=heads), x)


@pytest.mark.parametrize("case", [(1, 1, 1, 1), (3, 5, 7, 4), (2, 17, 33, 9)], ids=str)
def test_batched_matmul_kernel_equals_numpy(kernel, rng, case):
    n_batch, n_rows, n_inner, n_cols = case
    a = rng.standard_normal((n_batch, n_rows, n_inner)).astype(np.float32)
    b = rng.standard_normal((n_batch, n_inner, n_cols)).astype(np.float32)
    np.testing.assert_allclose(kernel("batched_matmul", a=a, b=b), a @ b, atol=2e-5)


@pytest.mark.parametrize("case", [*CASES, (4, 3, 67, 2, 3), (2, 2, 5, 1, 66)], ids=str)
def test_attention_kernel_equals_numpy(kernel, reference, rng, case):
    batch, n_queries, n_keys, n_heads, d_head = case
    q, k, v = (
        rng.standard_normal((batch, n, n_heads * d_head)).astype(np.float32)
        for n in (n_queries, n_keys, n_keys)
    )
    n_masks = batch // 2 or 1 if batch % 2 == 0 else 1
    mask = rng.random((n_masks, n_queries, n_keys)) < 0.5
    got = kernel(
        "multi_head_attention_forward",
        **{"q": q, "k": k, "v": v, "mask": mask.astype(np.uint32), "n_heads": n_heads, "d_head": d_head},
    )
    width = n_heads * d_head
    heads = (reference.split_heads(value.astype(np.float64), n_heads) for value in (q, k, v))
    q_heads, k_heads, v_heads = heads
    seen = np.repeat(mask, batch // n_masks, axis=0)[:, None]
    scores = np.where(seen, q_heads @ k_heads.swapaxes(-1, -2) / np.sqrt(d_head), -np.inf)
    weights = np.exp(
        scores - np.where(seen.any(axis=-1, keepdims=True), scores.max(axis=-1, keepdims=True), 0)
    )
    attn = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-300)
    assert got.shape == (batch, n_queries, width)
    np.testing.assert_allclose(got, reference.merge_heads(attn @ v_heads), atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 5, 6), (3, 5, 44)], ids=str)
def test_rotary_kernel_equals_numpy(kernel, reference, rng, shape):
    x = rng.standard_normal(shape).astype(np.float32)
    positions = np.array([3, -2, 0, 40, 7], np.int32)[: shape[1]]
    want = reference.rotary_forward(x.astype(np.float64), positions)
    np.testing.assert_allclose(kernel("rotary_forward", x=x, positions=positions), want, atol=2e-3)


@pytest.fixture(scope="module")
def outcome():
    """Run the lesson once, in a process of its own: there its choice of threads counts."""
    pytest.importorskip("matplotlib", reason="the lesson's pictures need the lab extra")
    names = "accuracies specialists elsewhere kernel_gaps early_gap kernel_accuracies turned_spread norm_gap"
    names += " added_spread cross_gap self_gap"
    script = (
        "import json, runpy\n"
        "found = runpy.run_path('lesson.py')\n"
        f"result = {{name: found[name] for name in {names.split()!r}}}\n"
        "result['specialists'] = {seed: jobs.tolist() for seed, jobs in result['specialists'].items()}\n"
        "result['elsewhere'] = {' '.join(key): value for key, value in result['elsewhere'].items()}\n"
        "print('RESULT' + json.dumps(result))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=STAGE.solutions,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.rpartition("RESULT")[2])


def test_two_heads_win_the_game_that_one_head_loses(outcome):
    accuracies = {name: np.array(pairs) for name, pairs in outcome["accuracies"].items()}
    assert accuracies["2 heads of 16"].min() >= 0.99
    assert accuracies["4 heads of 8"].min() >= 0.99
    for name in ("1 head of 32", "1 head of 64"):
        assert accuracies[name].min(axis=1).max() <= 0.7
    assert accuracies["1 head of 32, 5 times the steps"].min(axis=1).max() <= 0.9
    assert accuracies["1 head of 32, asked only the letter before"][:, 0].min() >= 0.99
    assert accuracies["1 head of 32, asked only the marked letter"][:, 1].min() >= 0.99
    assert accuracies["2 heads of 16, no positions"][:, 0].max() <= 0.4


def test_in_every_seed_one_head_looks_before_and_the_other_at_the_mark(outcome):
    for jobs in outcome["specialists"].values():
        before, on_mark = np.array(jobs).T
        assert before.argmax() != on_mark.argmax()
        assert before.max() > 0.5
        assert on_mark.max() > 0.9


def test_rotary_feels_distances_only(outcome):
    assert outcome["turned_spread"] < 1e-12 < 0.3 < outcome["added_spread"]
    assert outcome["norm_gap"] < 1e-12
    for start in (5, 20, 100):
        assert min(outcome["elsewhere"][f"rotary counted from {start}"]) >= 0.99
    assert max(outcome["elsewhere"]["sinusoidal counted from 5"]) <= 0.95
    assert max(outcome["elsewhere"]["rotary rows of 48 letters"]) <= 0.8


def test_attention_reads_from_a_bag_and_kernels_agree_with_numpy(outcome):
    assert max(outcome["cross_gap"], outcome["self_gap"]) < 1e-12
    # WGSL lets sin and cos err by 2^-11; everything else is rounding.
    assert outcome["kernel_gaps"].pop("rotary_forward") <= 5e-3
    assert max(outcome["kernel_gaps"].values()) <= 1e-5
    assert outcome["early_gap"] <= 1e-4
    assert min(outcome["kernel_accuracies"]) >= 0.95
