"""Stage 9, tokens, steps and choices: references against twins and by hand, kernels against NumPy."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradschool.gpu import load_kernel
from gradschool.grading.reference import load_reference
from gradschool.pack import find_pack

torch = pytest.importorskip("torch", reason="the twins need the torch extra")

STAGE = find_pack(Path(__file__)).stage("09_language_model")
SHAPES = {"w": (3, 4), "b": (4,), "scale": (1,)}
ONE = {"w": np.ones((2, 3))}
PROSE = "the cat sat on the mat; the rat sat on that cat. naïve 🙂 cats, naïve 🙂 rats!\n\n    indented\n" * 3
SETTINGS = [(1.0, None, None), (0.5, 4, None), (2.0, None, 0.7), (1.5, 6, 0.8), (1.0, 50, 1.0)]


@pytest.fixture(scope="module")
def reference():
    return load_reference(STAGE)


@pytest.fixture(scope="module")
def merges(reference):
    return reference.bpe_train(PROSE, 40)


@pytest.fixture(scope="module")
def twin():
    spec = importlib.util.spec_from_file_location("twin_09_language_model", STAGE.solutions / "twin.py")
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


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "vocab"), [("banana", "abn"), ("", ""), ("b\nA a", "\n Aab"), ("🙂é🙂z", "zé🙂")]
)
def test_the_vocabulary_by_hand(reference, text, vocab):
    assert reference.char_tokenizer(text) == vocab
    assert reference.char_decode(reference.char_encode(text, vocab), vocab) == text


def test_characters_that_the_vocabulary_lacks_are_refused(reference):
    with pytest.raises(ValueError, match="has no 'x'"):
        reference.char_encode("axe", "ae")


@pytest.mark.parametrize(
    ("text", "n_merges", "merges"),
    [
        ("low lower lowest", 3, [(108, 111), (256, 119), (32, 257)]),
        ("aaaaaaaa", 9, [(97, 97), (256, 256)]),
        ("abcd", 5, []),
        ("", 5, []),
        ("zy\nab\nzy\nab", 1, [(97, 98)]),
        ("🙂🙂🙂", 3, [(153, 130), (159, 256), (240, 257)]),
    ],
)
def test_merges_by_hand(reference, text, n_merges, merges):
    assert reference.bpe_train(text, n_merges) == merges


def test_merges_equal_those_of_a_search_that_counts_everything_anew(reference):
    """The textbook's way: one list of chunks, counted and replaced in full at each turn."""
    chunks = [list(chunk.encode()) for chunk in reference.split_chunks(PROSE)]
    want = []
    for new in range(256, 296):
        pairs = [pair for chunk in chunks for pair in pairwise(chunk)]
        best = max(sorted(set(pairs)), key=pairs.count)
        want.append(best)
        chunks = [reference.merge_pair(chunk, best, new) for chunk in chunks]
    assert reference.bpe_train(PROSE, 40) == want
    tokens = reference.bpe_encode(PROSE, want)
    assert tokens.tolist() == [token for chunk in chunks for token in chunk]
    assert len(tokens) < 0.5 * len(PROSE.encode())


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example("")
@example("👩‍🚀\r\n\t\x00 ٣ ﷽ the  cat ")
def test_any_text_comes_back(text):
    reference = load_reference(STAGE)
    assert "".join(reference.split_chunks(text)) == text
    vocab = reference.char_tokenizer(text)
    assert reference.char_decode(reference.char_encode(text, vocab), vocab) == text
    for merges in ([], reference.bpe_train(text + text, 20), [(32, 116), (256, 104), (257, 101), (97, 97)]):
        tokens = reference.bpe_encode(text, merges)
        assert tokens.dtype == np.int64
        assert reference.bpe_decode(tokens, merges) == text


def test_the_first_merge_that_was_learned_wins(reference):
    assert reference.bpe_encode("abc", [(98, 99), (97, 98)]).tolist() == [97, 256]
    assert reference.bpe_encode("abc", [(97, 98), (98, 99)]).tolist() == [256, 99]


def test_broken_bytes_are_decoded_as_python_does(reference, merges):
    data = bytes([104, 0xF0, 0x9F, 33, 0xFF])
    got = reference.bpe_decode(np.frombuffer(data, np.uint8).astype(np.int64), merges)
    assert got == data.decode("utf-8", errors="replace")
    assert "\ufffd" in got


@pytest.mark.parametrize(
    "options",
    [{}, {"betas": (0.5, 0.75), "eps": 1e-3}, {"weight_decay": 0.7}, {"weight_decay": 0.0}],
    ids=str,
)
@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_adamw_equals_its_twin_for_five_steps(reference, twin, options, scale):
    rng = np.random.default_rng(3)
    params = {key: rng.standard_normal(shape) for key, shape in SHAPES.items()}
    state, steps, ours = {}, [], []
    for lr in (0.1, 0.1, 0.03, 0.2, 0.01):
        grads = {key: scale * rng.standard_normal(shape) for key, shape in SHAPES.items()}
        steps.append((params, grads, lr))
        params, state = reference.adamw_step(params, grads, state, lr, **options)
        ours.append(params)
    tensors = [
        ({k: torch.from_numpy(v) for k, v in p.items()}, {k: torch.from_numpy(v) for k, v in g.items()}, lr)
        for p, g, lr in steps
    ]
    for mine, theirs in zip(ours, twin.adamw_step(tensors, **options), strict=True):
        for key, value in mine.items():
            np.testing.assert_allclose(value, theirs[key].numpy(), rtol=1e-10)


@pytest.mark.parametrize("max_norm", [0.3, 4.0, 1e3])
def test_clipping_equals_its_twin(reference, twin, max_norm):
    rng = np.random.default_rng(4)
    grads = {key: rng.standard_normal(shape) for key, shape in SHAPES.items()}
    got, norm = reference.clip_gradients(grads, max_norm)
    want, want_norm = twin.clip_gradients({k: torch.from_numpy(v) for k, v in grads.items()}, max_norm)
    np.testing.assert_allclose(norm, want_norm.item(), rtol=1e-12)
    for key, value in got.items():
        np.testing.assert_allclose(value, want[key].numpy(), rtol=1e-12)
    leaves = [torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in SHAPES.values()]
    for leaf, grad in zip(leaves, grads.values(), strict=True):
        leaf.grad = torch.from_numpy(grad.copy())
    torch.nn.utils.clip_grad_norm_(leaves, max_norm)
    for leaf, value in zip(leaves, got.values(), strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(value, leaf.grad.numpy(), rtol=1e-5)


def test_the_length_of_large_float32_gradients_does_not_overflow(reference):
    got, norm = reference.clip_gradients({"w": np.full(4, 1e25, np.float32)}, 1.0)
    assert norm == pytest.approx(2e25)
    np.testing.assert_allclose(got["w"], 0.5, rtol=1e-6)


@pytest.mark.parametrize("schedule", [(10, 50, 0.3, 0.01), (0, 20, 1.0, 0.0), (1, 9, 0.2, 0.1)], ids=str)
def test_the_schedule_equals_its_twin(reference, twin, schedule):
    for step in range(schedule[1] + 5):
        theirs = twin.cosine_schedule(step, *schedule)
        assert reference.cosine_schedule(step, *schedule) == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 7), (2, 3, 4, 6), (1, 1)], ids=str)
def test_the_last_position_equals_its_twin(reference, twin, shape):
    logits = np.random.default_rng(1).standard_normal(shape)
    got = reference.next_token_logits(logits)
    np.testing.assert_array_equal(got, twin.next_token_logits(torch.from_numpy(logits)).numpy())
    assert not np.shares_memory(got, logits)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_draws_have_the_probabilities_of_their_twin(reference, twin, setting):
    scores = np.random.default_rng(2).standard_normal(9)
    want = twin.probabilities(torch.from_numpy(scores), *setting).numpy()
    rows = np.broadcast_to(scores, (20_000, 9)).copy()
    ours = reference.sample(rows, *setting, np.random.default_rng(3))
    theirs = twin.sample(torch.from_numpy(rows), *setting, np.random.default_rng(3)).numpy()
    bound = 6 * np.sqrt(want * (1 - want) / len(rows))
    for tokens in (ours, theirs):
        shares = np.bincount(tokens, minlength=9) / len(rows)
        assert np.all(np.abs(shares - want) <= bound)
        assert np.all(shares[want == 0] == 0)


def test_temperature_zero_is_argmax_and_one_row_gives_one_number(reference, twin):
    logits = np.round(np.random.default_rng(5).standard_normal((4, 3, 6)))
    got = reference.sample(logits, 0, None, None, np.random.default_rng(0))
    np.testing.assert_array_equal(got, logits.argmax(axis=-1))
    np.testing.assert_array_equal(got, twin.sample(torch.from_numpy(logits), 0, None, None, None).numpy())
    assert np.ndim(reference.sample(logits[0, 0], 1.0, 3, 0.9, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("size", [1.0, 1e30])
def test_no_draw_leaves_the_possible_tokens(reference, temperature, size):
    logits = (size * normal(np.random.default_rng(6), 300, 8)).astype(np.float32)
    logits[:, ::3] = -np.inf
    got = reference.sample(logits, temperature, None, 0.999, np.random.default_rng(7))
    assert np.all(np.isfinite(np.take_along_axis(logits, got[:, None], axis=1)))


def test_float32_stays_float32(reference):
    x = np.ones((4, 3), np.float32)
    params, state = reference.adamw_step(
        {"w": x}, {"w": x}, {}, np.float64(0.1), weight_decay=np.float64(0.1)
    )
    clipped, _ = reference.clip_gradients({"w": x}, np.float64(0.1))
    results = [params["w"], state["m"]["w"], state["v"]["w"], clipped["w"], reference.next_token_logits(x)]
    assert {value.dtype for value in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bpe_train", ("text", -1)),
        ("bpe_decode", (np.array([256]), [])),
        ("bpe_decode", (np.array([-1]), [(97, 97)])),
        ("adamw_step", (ONE, {}, {}, 0.1)),
        ("adamw_step", (ONE, {"w": np.ones(3)}, {}, 0.1)),
        ("adamw_step", (ONE, ONE, {}, 0.1, (0.9, 1.0))),
        ("adamw_step", (ONE, ONE, {}, 0.1, (0.9, 0.99), 1e-8, -0.1)),
        ("clip_gradients", (ONE, 0.0)),
        ("cosine_schedule", (-1, 0, 5, 0.1, 0.0)),
        ("cosine_schedule", (1, 5, 5, 0.1, 0.0)),
        ("next_token_logits", (np.ones(3),)),
        ("next_token_logits", (np.ones((0, 3)),)),
        ("sample", (np.ones((2, 0)), 1.0, None, None, np.random.default_rng(0))),
        ("sample", (np.ones(3), -1.0, None, None, np.random.default_rng(0))),
        ("sample", (np.ones(3), 1.0, 0, None, np.random.default_rng(0))),
        ("sample", (np.ones(3), 1.0, None, 1.1, np.random.default_rng(0))),
    ],
)
def test_what_a_docstring_refuses_is_refused_with_a_sentence(reference, name, arguments):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        getattr(reference, name)(*arguments)


def test_the_adamw_kernel_equals_numpy_for_five_steps(kernel, reference):
    rng = np.random.default_rng(2)
    w, m, v = normal(rng, 131), np.zeros(131, np.float32), np.zeros(131, np.float32)
    params, state = {"w": w.astype(np.float64)}, {}
    for t in range(1, 6):
        grad = normal(rng, 131)
        numbers = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.5}
        corrections = {"m_correction": 1 - 0.9**t, "v_correction": 1 - 0.999**t}
        got = kernel("adamw_step", w=w, m=m, v=v, grad=grad, **numbers, **corrections)
        # A kernel may update the caller's arrays or return new ones; both are the next step's input.
        w, m, v = got["w"], got["m"], got["v"]
        wide = {"w": grad.astype(np.float64)}
        params, state = reference.adamw_step(params, wide, state, 0.01, weight_decay=0.5)
        np.testing.assert_allclose(w, params["w"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [(1, 1, 1), (3, 7, 5), (2, 67, 4), (5, 130, 70)], ids=str)
def test_a_text_decoded_with_the_cache_kernels_equals_causal_attention(kernel, case):
    """Append and attend, one position after the other; then the same at once."""
    n_batch, seq, d_head = case
    rng = np.random.default_rng(8)
    q, k, v = (normal(rng, n_batch, seq, d_head) for _ in range(3))
    k_cache, v_cache = (np.full((n_batch, seq + 2, d_head), np.nan, np.float32) for _ in range(2))
    scores = np.einsum("bqd,bkd->bqk", q, k, dtype=np.float64) / np.sqrt(d_head)
    weights = np.exp(np.where(np.tri(seq, dtype=bool), scores, -np.inf))
    want = weights / weights.sum(axis=2, keepdims=True) @ v
    for t in range(seq) if seq < 10 else (0, seq - 1):
        if t == seq - 1 and seq >= 10:
            k_cache[:, :t], v_cache[:, :t] = k[:, :t], v[:, :t]
        k_cache = kernel("kv_cache_append", entry=k[:, t].copy(), cache=k_cache, position=t)
        v_cache = kernel("kv_cache_append", entry=v[:, t].copy(), cache=v_cache, position=t)
        got = kernel("attention_decode", q=q[:, t].copy(), k_cache=k_cache, v_cache=v_cache, length=t + 1)
        np.testing.assert_allclose(got, want[:, t], rtol=1e-4, atol=1e-5)
    full = kernel("kv_cache_append", entry=k[:, 0].copy(), cache=k_cache.copy(), position=seq + 2)
    np.testing.assert_array_equal(full, k_cache)


@pytest.mark.parametrize("case", [(1, 1), (4, 65), (3, 300)], ids=str)
def test_the_argmax_kernel_equals_numpy(kernel, case):
    logits = np.round(2 * normal(np.random.default_rng(9), *case)).astype(np.float32)
    logits[0] = -np.inf
    got = kernel("argmax_row", logits=logits)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, logits.argmax(axis=1))


@pytest.mark.parametrize("k", [1, 3, 40, 99])
def test_the_mask_kernel_keeps_the_k_first_of_a_stable_sort(kernel, k):
    logits = np.round(2 * normal(np.random.default_rng(10), 5, 40)).astype(np.float32)
    logits[0, 3:] = -np.inf
    kept = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    want = np.full_like(logits, -np.inf)
    np.put_along_axis(want, kept, np.take_along_axis(logits, kept, axis=1), axis=1)
    np.testing.assert_array_equal(kernel("top_k_mask", logits=logits, k=k), want)
