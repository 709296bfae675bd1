"""Subgroup operations: their values for several sizes, their rules, and the device where it has them."""

from __future__ import annotations

import numpy as np
import pytest

from gradschool.errors import KernelError
from gradschool.wgsl import WgslError, compile_wgsl

HEAD = """
enable subgroups;
@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_size) size: u32,
        @builtin(subgroup_invocation_id) lane: u32) {
  let i = id.x;
"""
N = 192
X = np.random.default_rng(5).integers(1, 2**32, N, dtype=np.uint32)


def run(body: str, size: int = 32, width: int = 64, n: int = N, **options):
    module = compile_wgsl(HEAD.replace("WIDTH", str(width)) + body + "}")
    return module.run(
        workgroups=(n // width,),
        buffers={0: np.zeros(n, np.uint32), 1: X[:n]},
        subgroup_size=size,
        **options,
    )


def values(body: str, size: int = 32, width: int = 64) -> np.ndarray:
    result = run(body, size, width)
    assert [f.message for f in result.findings] == []
    return result.buffers[0].view(np.uint32)


def blocks(size: int) -> np.ndarray:
    return X.reshape(-1, size)


def without_enable(source: str) -> str:
    """naga knows the operations, and refuses the line that WGSL asks for."""
    return source.replace("enable subgroups;", "")


def each(rows: np.ndarray, size: int) -> np.ndarray:
    return np.repeat(rows, size).astype(np.uint32)


@pytest.mark.parametrize("size", [4, 16, 32, 64], ids=str)
@pytest.mark.parametrize(
    ("call", "op"),
    [
        ("subgroupAdd(x[i])", lambda b: b.sum(1, dtype=np.uint32)),
        ("subgroupMul(x[i])", lambda b: b.prod(1, dtype=np.uint32)),
        ("subgroupMin(x[i])", lambda b: b.min(1)),
        ("subgroupMax(x[i])", lambda b: b.max(1)),
        ("subgroupAnd(x[i])", lambda b: np.bitwise_and.reduce(b, 1)),
        ("subgroupOr(x[i])", lambda b: np.bitwise_or.reduce(b, 1)),
        ("subgroupXor(x[i])", lambda b: np.bitwise_xor.reduce(b, 1)),
        ("u32(subgroupAll(x[i] > 99u))", lambda b: (b > 99).all(1)),
        ("u32(subgroupAny(x[i] < 100000000u))", lambda b: (b < 100_000_000).any(1)),
        ("subgroupBroadcast(x[i], 3u)", lambda b: b[:, 3]),
        ("subgroupBroadcastFirst(x[i])", lambda b: b[:, 0]),
        (
            "subgroupBallot((x[i] & 1u) == 1u).x",
            lambda b: ((b[:, :32] & 1) << np.arange(b[:, :32].shape[1])).sum(1),
        ),
    ],
    ids=lambda word: word if isinstance(word, str) else "",
)
def test_an_operation_gives_every_invocation_the_result_of_its_subgroup(call, op, size):
    np.testing.assert_array_equal(values(f"o[i] = {call};", size), each(op(blocks(size)), size))


def test_scans_add_what_comes_before():
    running = np.cumsum(blocks(32), axis=1, dtype=np.uint32)
    np.testing.assert_array_equal(values("o[i] = subgroupInclusiveAdd(x[i]);"), running.ravel())
    np.testing.assert_array_equal(
        values("o[i] = subgroupExclusiveAdd(x[i]);"), (running - blocks(32)).ravel()
    )


def test_shuffles_and_quads_take_the_value_of_another_invocation():
    b = blocks(32)
    lanes = np.arange(32)
    np.testing.assert_array_equal(values("o[i] = subgroupShuffle(x[i], 31u - lane);"), b[:, ::-1].ravel())
    np.testing.assert_array_equal(values("o[i] = subgroupShuffleXor(x[i], 5u);"), b[:, lanes ^ 5].ravel())
    np.testing.assert_array_equal(values("o[i] = quadSwapX(x[i]);"), b[:, lanes ^ 1].ravel())
    np.testing.assert_array_equal(values("o[i] = quadSwapDiagonal(x[i]);"), b[:, lanes ^ 3].ravel())
    np.testing.assert_array_equal(values("o[i] = quadBroadcast(x[i], 2u);"), b[:, (lanes & ~3) + 2].ravel())
    up = "let v = subgroupShuffle(x[i], max(lane, 1u) - 1u); o[i] = v;"
    np.testing.assert_array_equal(values(up), b[:, np.maximum(lanes, 1) - 1].ravel())


def test_one_invocation_is_elected_and_vectors_keep_their_components():
    elected = values("if subgroupElect() { o[i] = 1u; }", 16)
    np.testing.assert_array_equal(np.flatnonzero(elected), np.arange(0, N, 16))
    both = values("let v = subgroupAdd(vec2u(1u, x[i])); o[i] = v.x ^ v.y;")
    np.testing.assert_array_equal(both, each(blocks(32).sum(1, dtype=np.uint32) ^ np.uint32(32), 32))


def test_a_short_workgroup_leaves_the_rest_of_its_subgroup_out():
    got = values("o[i] = subgroupAdd(1u) * 100u + size;", 32, 48)
    assert set(got[:32]) == {3232}
    assert set(got[32:48]) == {1632}


def test_a_reduction_over_subgroups_is_a_row_sum():
    body = "let total = subgroupAdd(x[i]); if lane == 0u { o[i] = total; }"
    np.testing.assert_array_equal(values(body)[::32], blocks(32).sum(1, dtype=np.uint32))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("if lane < 7u { o[i] = subgroupAdd(x[i]); }", "divergent-subgroup"),
        ("if i >= 100u { return; } o[i] = subgroupMax(x[i]);", "divergent-subgroup"),
        ("o[i] = subgroupShuffle(x[i], lane + 1u);", "subgroup-read"),
        ("o[i] = subgroupShuffleUp(x[i], 1u);", "subgroup-read"),
    ],
    ids=lambda word: word.split("(")[0],
)
def test_what_differs_by_device_is_a_finding(body, kind):
    assert {f.kind for f in run(body).findings} == {kind}


def test_whole_subgroups_may_stay_away():
    assert run("if i < 64u { o[i] = subgroupAdd(x[i]); }").findings == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fn f() { _ = subgroupAdd(1u); }", "needs subgroups"),
        ("enable subgroups; fn f() { _ = subgroupAdd(true); }", "does not take bool"),
        ("enable subgroups; fn f(k: u32) { _ = subgroupBroadcast(1u, k); }", "must be a constant"),
        ("enable subgroups; fn f() { _ = subgroupAnd(1.0); }", "does not take f32"),
        ("enable subgroups; fn f() { _ = subgroupElect(1u); }", "takes 0 arguments"),
    ],
    ids=lambda word: word,
)
def test_wrong_uses_are_errors(source, message):
    with pytest.raises(WgslError, match=message):
        compile_wgsl(source)


def test_a_subgroup_has_a_size_that_devices_have():
    with pytest.raises(KernelError, match="not 12"):
        run("o[i] = size;", 12)


BODIES = [
    "o[i] = subgroupAdd(x[i]) ^ subgroupMul(x[i]) ^ subgroupXor(x[i]) ^ size;",
    "o[i] = subgroupInclusiveAdd(x[i]) ^ subgroupExclusiveAdd(x[i] >> 3u) ^ lane;",
    "o[i] = subgroupShuffleXor(x[i], 1u) ^ subgroupBroadcastFirst(x[i]) ^ subgroupBallot(x[i] > 9999999u).x;",
    "o[i] = subgroupMin(x[i]) ^ subgroupMax(x[i]) ^ subgroupShuffle(x[i], (lane + 1u) % size);",
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_the_device_gives_the_same_where_it_has_subgroups(device, body):
    if not device.has_subgroups:
        pytest.skip("this driver has no subgroups")
    probe = HEAD.replace("WIDTH", "64") + "o[i] = size; }"
    buffers = {0: np.zeros(N, np.uint32), 1: X}
    sizes = device.run(without_enable(probe), compile_wgsl(probe), (3,), buffers)[0].view(np.uint32)
    source = HEAD.replace("WIDTH", "64") + body + "}"
    module = compile_wgsl(source)
    want = device.run(without_enable(source), module, (3,), buffers)[0]
    got = module.run(workgroups=(3,), buffers=buffers, subgroup_size=int(sizes[0])).buffers[0]
    np.testing.assert_array_equal(got, want)
