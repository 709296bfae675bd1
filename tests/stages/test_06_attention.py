"""Stage 6: references against their PyTorch twins and finite differences, kernels, and the lesson's run."""

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

STAGE = find_pack(Path(__file__)).stage("06_attention")
# leading axes, n_queries, n_keys, d_head, d_v
CASES = [
    ((2,), 5, 7, 4, 6),
    ((1,), 1, 1, 1, 1),
    ((), 3, 6, 8, 2),
    ((2, 3), 5, 4, 3, 6),
    ((3,), 4, 4, 4, 4),
    ((2,), 9, 2, 5, 3),
]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_06_attention", STAGE.solutions / "twin.py")
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
    if values is None:
        return None
    if isinstance(values, dict):
        return {name: torch.from_numpy(value) for name, value in values.items()}
    return torch.from_numpy(np.ascontiguousarray(values))


def same(ours: Any, theirs: Any, relative=1e-10, scale=0.0):
    """Assert equality within `relative` of the largest element, or of `scale` if that is larger."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            same(ours[name], value, relative, scale)
        return
    theirs = theirs.detach().numpy()
    assert np.shape(ours) == theirs.shape
    size = max(float(np.abs(theirs).max()), scale)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * size)


def slope(loss, step=1e-6):
    return (loss(step) - loss(-step)) / (2 * step)


def vectors(rng, lead, n_queries, n_keys, d_head, d_v):
    shapes = ((n_queries, d_head), (n_keys, d_head), (n_keys, d_v))
    return [2 * rng.standard_normal((*lead, *shape)) for shape in shapes]


def masks(rng, lead, n_queries, n_keys):
    """No mask, a causal one, a padding one, both, and one with a row where nothing is allowed."""
    causal = np.tri(n_queries, n_keys, dtype=bool)
    padding = np.arange(n_keys) < rng.integers(1, n_keys + 1, (*lead, 1, 1))
    dead = rng.random((*lead, n_queries, n_keys)) < 0.6
    dead.reshape(-1, n_keys)[0] = False
    return [None, causal, padding, causal & padding, dead]


def test_the_masks_equal_their_twins(reference, twin, rng):
    for seq in (1, 2, 7):
        np.testing.assert_array_equal(reference.causal_mask(seq), twin.causal_mask(seq).numpy())
    for shape in ((), (3,), (2, 3)):
        lengths = rng.integers(0, 6, shape)
        want = twin.padding_mask(torch.as_tensor(lengths), 5).numpy()
        np.testing.assert_array_equal(reference.padding_mask(lengths, 5), want)
        assert want.shape == (*shape, 1, 5)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", range(5))
def test_the_masked_softmax_equals_its_twin(reference, twin, rng, case, kind):
    lead, n_queries, n_keys = case[:3]
    mask = masks(rng, lead, n_queries, n_keys)[kind]
    scores, dattn = (3 * rng.standard_normal((*lead, n_queries, n_keys)) for _ in range(2))
    for offset in (0.0, -1e5):
        attn, cache = reference.masked_softmax_forward(scores + offset, mask)
        attn_twin, cache_twin = twin.masked_softmax_forward(tensors(scores + offset), tensors(mask))
        same(attn, attn_twin, scale=1.0)
        dscores = reference.masked_softmax_backward(dattn, cache)
        same(dscores, twin.masked_softmax_backward(tensors(dattn), cache_twin), scale=1.0)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", range(5))
def test_attention_equals_its_twin(reference, twin, rng, case, kind):
    mask = masks(rng, *case[:3])[kind]
    arrays = vectors(rng, *case)
    same(reference.attention_scores(*arrays[:2]), twin.attention_scores(*map(tensors, arrays[:2])))
    out, cache = reference.attention_forward(*arrays, mask)
    out_twin, cache_twin = twin.attention_forward(*map(tensors, arrays), tensors(mask))
    same(out, out_twin, scale=1.0)
    same(cache["attn"], cache_twin["attn"], scale=1.0)
    dout = rng.standard_normal(out.shape)
    gradients = twin.attention_backward(tensors(dout), cache_twin)
    for ours, theirs in zip(reference.attention_backward(dout, cache), gradients, strict=True):
        same(ours, theirs, scale=1.0)


@pytest.mark.parametrize("kind", [0, 4])
def test_attention_gradients_survive_finite_differences(reference, rng, kind):
    arrays, dout = vectors(rng, *CASES[0]), rng.standard_normal((2, 5, 6))
    mask = masks(rng, (2,), 5, 7)[kind]
    gradients = reference.attention_backward(dout, reference.attention_forward(*arrays, mask)[1])
    for place, gradient in enumerate(gradients):
        direction = rng.standard_normal(arrays[place].shape)

        def loss(t, place=place, direction=direction):
            moved = [value + t * direction if i == place else value for i, value in enumerate(arrays)]
            return (dout * reference.attention_forward(*moved, mask)[0]).sum()

        np.testing.assert_allclose((gradient * direction).sum(), slope(loss), rtol=1e-6, atol=1e-7)


def test_a_query_that_sees_nothing_brings_zeros_and_takes_none(reference, rng):
    q, k, v = vectors(rng, *CASES[0])
    mask = np.ones((5, 7), bool)
    mask[2], mask[:, 3] = False, False
    out, cache = reference.attention_forward(q, k, v, mask)
    dq, dk, dv = reference.attention_backward(np.ones_like(out), cache)
    for value in (out[:, 2], cache["attn"][:, 2], dq[:, 2], dk[:, 3], dv[:, 3]):
        assert not np.any(value)


@pytest.mark.parametrize("sizes", [(5, 4, 3, 6, 7), (1, 1, 1, 1, 1), (4, 4, 4, 4, 4)], ids=str)
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_equals_its_twin(reference, twin, rng, sizes, lead, causal):
    seq, d_model, d_head, d_v, d_out = sizes
    shapes = {"wq": (d_model, d_head), "wk": (d_model, d_head), "wv": (d_model, d_v), "wo": (d_v, d_out)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x = rng.standard_normal((*lead, seq, d_model))
    mask = reference.causal_mask(seq) if causal else None
    out, cache = reference.self_attention_forward(x, params, mask)
    out_twin, cache_twin = twin.self_attention_forward(tensors(x), tensors(params), tensors(mask))
    same(out, out_twin)
    same(cache["attn"], cache_twin["attn"])
    dout = rng.standard_normal(out.shape)
    dx, grads = reference.self_attention_backward(dout, cache)
    dx_twin, grads_twin = twin.self_attention_backward(tensors(dout), cache_twin)
    same(dx, dx_twin, scale=1.0)
    same(grads, grads_twin, scale=1.0)


@pytest.mark.parametrize("case", [(2, 3, 4, 5, 6), (1, 1, 1, 1, 1), (3, 4, 1, 6, 2)], ids=str)
def test_the_non_local_block_equals_its_twin(reference, twin, rng, case):
    n, c_in, h, w, d = case
    params = {name: rng.standard_normal((c_in, d)) for name in ("w_theta", "w_phi", "w_g")}
    params["w_out"] = rng.standard_normal((d, c_in))
    x = rng.standard_normal((n, c_in, h, w))
    out, cache = reference.non_local_block_forward(x, params)
    out_twin, cache_twin = twin.non_local_block_forward(tensors(x), tensors(params))
    same(out, out_twin)
    dout = rng.standard_normal(x.shape)
    dx, grads = reference.non_local_block_backward(dout, cache)
    dx_twin, grads_twin = twin.non_local_block_backward(tensors(dout), cache_twin)
    same(dx, dx_twin, scale=1.0)
    same(grads, grads_twin, scale=1.0)


def test_equivariance_is_judged_as_the_twin_judges_it(reference, twin, rng):
    x = rng.standard_normal((2, 6, 4))
    params = {name: rng.standard_normal((4, 4)) for name in ("wq", "wk", "wv", "wo")}
    mask = reference.causal_mask(6)
    pairs = [
        (np.tanh, torch.tanh, True),
        (lambda x: np.cumsum(x, axis=-2), lambda x: torch.cumsum(x, -2), False),
        (
            lambda x: reference.self_attention_forward(x, params),
            lambda x: twin.self_attention_forward(x, tensors(params)),
            True,
        ),
        (
            lambda x: reference.self_attention_forward(x, params, mask),
            lambda x: twin.self_attention_forward(x, tensors(params), tensors(mask)),
            False,
        ),
    ]
    for ours, theirs, want in pairs:
        assert reference.is_permutation_equivariant(ours, x, rng) is want
        assert twin.is_permutation_equivariant(theirs, tensors(x), torch.Generator().manual_seed(0)) is want


def test_float32_stays_float32(reference, rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    params = {name: rng.standard_normal((3, 2)).astype(np.float32) for name in ("w_theta", "w_phi", "w_g")}
    params["w_out"] = rng.standard_normal((2, 3)).astype(np.float32)
    out, cache = reference.non_local_block_forward(x, params)
    dx, grads = reference.non_local_block_backward(out, cache)
    rows = rng.standard_normal((2, 5, 4)).astype(np.float32)
    square = {name: rng.standard_normal((4, 4)).astype(np.float32) for name in ("wq", "wk", "wv", "wo")}
    seen, attention_cache = reference.self_attention_forward(rows, square, reference.causal_mask(5))
    drows, square_grads = reference.self_attention_backward(seen, attention_cache)
    results = [out, cache["attn"], dx, *grads.values(), seen, drows, *square_grads.values()]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("case", [(1, 1, 1, 1, 1, 1), (4, 2, 5, 67, 3, 9), (3, 1, 9, 8, 16, 2)], ids=str)
def test_the_kernels_chained_equal_numpy(kernel, reference, rng, case):
    n_batch, n_masks, n_queries, n_keys, d_head, d_v = case
    q, k, v = (x.astype(np.float32) for x in vectors(rng, (n_batch,), n_queries, n_keys, d_head, d_v))
    mask = rng.random((n_masks, n_queries, n_keys)) < 0.7
    mask[0, 0, :] = n_keys == 1
    dout = rng.standard_normal((n_batch, n_queries, d_v)).astype(np.float32)
    scores = kernel("attention_scores", q=q, k=k)
    attn = kernel("masked_softmax_forward", scores=scores, mask=mask.astype(np.uint32))
    dattn = kernel("attention_backward_attn", dout=dout, v=v)
    dscores = kernel("masked_softmax_backward", dattn=dattn, attn=attn)
    got = {
        "attn": attn,
        "out": kernel("attention_output", attn=attn, v=v),
        "dq": kernel("attention_backward_q", dscores=dscores, k=k),
        "dk": kernel("attention_backward_k", dscores=dscores, q=q),
        "dv": kernel("attention_backward_v", attn=attn, dout=dout),
    }
    wide = [value.astype(np.float64) for value in (q, k, v)]
    out, cache = reference.attention_forward(*wide, np.repeat(mask, n_batch // n_masks, axis=0))
    dq, dk, dv = reference.attention_backward(dout.astype(np.float64), cache)
    want = {"attn": cache["attn"], "out": out, "dq": dq, "dk": dk, "dv": dv}
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=2e-5 * max(1, np.abs(value).max()), err_msg=name)


# The lesson runs in a process of its own, because it chooses the threads of NumPy before NumPy is loaded.
RUN_THE_LESSON = """
import json, runpy
outcome = runpy.run_path("lesson.py")
names = ["n_attention", "n_mlp", "attention_accuracies", "longer_accuracies", "blind_accuracies", "mlp_accuracies",
         "large_mlp_accuracies", "equivariant", "noise_before", "noise_after", "kernel_gaps", "loss_gap", "found_place"]
found = {name: outcome[name] for name in names}
found["raw"], found["scaled"] = outcome["raw"].tolist(), outcome["scaled"].tolist()
found["looked_at"] = outcome["names"][outcome["found_place"] - 1] == outcome["names"][-1]
found["kernel_losses"] = outcome["kernel_losses"].tolist()
print("OUTCOME" + json.dumps(found))
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
    assert abs(outcome["n_attention"] - outcome["n_mlp"]) <= 0.05 * outcome["n_mlp"]
    assert len(outcome["attention_accuracies"]) >= 3
    assert min(outcome["attention_accuracies"]) >= 0.99
    assert min(outcome["longer_accuracies"]) >= 0.98
    assert max(outcome["mlp_accuracies"] + outcome["large_mlp_accuracies"]) <= 0.45
    assert max(outcome["blind_accuracies"]) <= 0.45
    assert outcome["looked_at"]
    # Variance d against 1; the entropy and the gradient of unscaled scores collapse.
    raw, scaled = np.array(outcome["raw"]), np.array(outcome["scaled"])
    assert raw[-1, 0] > 900
    assert np.all(np.abs(scaled[1:, 0] - 1) < 0.1)
    assert raw[-1, 1] < 0.2 < 3 < scaled[-1, 1]
    assert raw[-1, 2] < 1e-3 * scaled[-1, 2]
    assert list(outcome["equivariant"].values()) == [True, False, True, True, False, False]
    assert outcome["noise_after"] < 0.6 * outcome["noise_before"]
    # The same training on the kernels: the same losses to rounding.
    assert outcome["loss_gap"] <= 1e-4
    assert np.mean(outcome["kernel_losses"][-10:]) < 0.3 * outcome["kernel_losses"][0]
    assert max(outcome["kernel_gaps"].values()) <= 1e-5
