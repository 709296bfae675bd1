"""What the interpreter finds, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from gradschool.wgsl import BufferIn, compile_wgsl

HEAD = """
@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
var<workgroup> w: array<u32, 64>;
var<workgroup> flag: u32;
var<workgroup> ac: atomic<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32, @builtin(workgroup_id) g: vec3u) {
  let i = id.x;
"""

CLEAN = {
    "each invocation owns an element": "o[i] = i;",
    "all write one value to one word": "o[0] = 7u;",
    "a flag is read after a barrier": "flag = 5u; workgroupBarrier(); o[i] = flag;",
    "workgroups write one value to the same words": "o[l] = l;",
    "storage behind a storageBarrier": "o[i] = i; storageBarrier(); if g.x == 0u { o[i + 192u] = o[63u - l]; }",
    "an own element is read and written": "o[i] = i; o[i] = o[i] + 1u;",
    "a barrier under a condition equal in the workgroup": """
        if g.x == 1u { w[l] = 1u; workgroupBarrier(); o[i] = w[63u - l]; } else { o[i] = 2u; }""",
    "a loop with barriers whose length differs between workgroups": """
        for (var k = 0u; k < g.x; k++) { w[l] = k; workgroupBarrier(); o[i] = w[63u - l]; workgroupBarrier(); }""",
    "a tree reduction": """
        w[l] = x[i]; workgroupBarrier();
        for (var s = 32u; s > 0u; s /= 2u) { if l < s { w[l] += w[l + s]; } workgroupBarrier(); }
        if l == 0u { o[g.x] = w[0]; }""",
    "a broadcast read, a barrier, then reuse": """
        w[l] = l; workgroupBarrier(); let first = w[0]; workgroupBarrier(); w[l] = first + 1u; o[i] = w[l];""",
    "atomics with no order": "atomicStore(&ac, 0u); workgroupBarrier(); atomicAdd(&ac, 1u); workgroupBarrier(); o[i] = atomicLoad(&ac);",
    "workgroupUniformLoad is a barrier": "if l == 3u { flag = 9u; } let v = workgroupUniformLoad(&flag); o[i] = v;",
    "an index outside that a guard skips": "if i < 10u { o[i] = x[i]; } if i >= 10u && i < 20u && x[i] > 3u { o[i] = 1u; }",
}

FAULTY = {
    "race: different values to one word": ("race", "o[0] = i;"),
    "race: a flag is read with no barrier": ("race", "flag = 5u; o[i] = flag;"),
    "race: storageBarrier does not order workgroup memory": (
        "race",
        "w[l] = i; storageBarrier(); o[i] = w[63u - l];",
    ),
    "race: workgroupBarrier does not order storage": (
        "race",
        "o[i] = i; workgroupBarrier(); if g.x == 0u { o[i + 192u] = o[63u - l]; }",
    ),
    "race: across workgroups no barrier helps": (
        "race",
        "o[i] = i; storageBarrier(); if g.x == 0u { o[i + 192u] = o[i + 64u]; }",
    ),
    "race: across workgroups on a result": ("race", "if l == 0u { o[0] = i; }"),
    "race: counting without atomics": ("race", "o[x[i] % 16u] += 1u;"),
    "race: transpose in place": ("race", "if i < 64u { let v = o[(i % 8u) * 8u + i / 8u]; o[i] = v; }"),
    "race: reuse after a broadcast read": (
        "race",
        "w[l] = l; workgroupBarrier(); let f = w[0]; w[l] = f + 1u; o[i] = w[l];",
    ),
    "race: a reduction without a barrier in its loop": (
        "race",
        "w[l] = x[i]; workgroupBarrier(); for (var s = 32u; s > 0u; s /= 2u) { if l < s { w[l] += w[l + s]; } } o[i] = 1u;",
    ),
    "race: a scan in place with one barrier": (
        "race",
        "w[l] = l; workgroupBarrier(); for (var s = 1u; s < 64u; s *= 2u) { if l >= s { w[l] += w[l - s]; } workgroupBarrier(); }",
    ),
    "barrier in a branch": (
        "divergent-barrier",
        "w[l] = 1u; if l < 32u { workgroupBarrier(); } o[i] = w[l];",
    ),
    "barrier after an early return": (
        "divergent-barrier",
        "if i >= 100u { return; } w[l] = 1u; workgroupBarrier(); o[i] = w[l];",
    ),
    "barrier in a loop of different lengths": (
        "divergent-barrier",
        "for (var k = 0u; k < l % 3u; k++) { workgroupBarrier(); }",
    ),
    "storageBarrier in a branch": ("divergent-barrier", "if l == 5u { storageBarrier(); }"),
    "write past the end": ("out-of-bounds-write", "o[i + 200u] = 1u;"),
    "write far outside": ("out-of-bounds-write", "o[i - 1u] = 1u;"),
    "workgroup write past the end": ("out-of-bounds-write", "w[l + 1u] = 1u;"),
    "endless loop": ("step-budget", "var k = 0u; while k < 10u { o[i] = k; }"),
}

SOFT = {
    "read past the end": ("out-of-bounds-read", "o[i] = x[i * 1000u];"),
    "read of a negative index": ("out-of-bounds-read", "o[i] = x[i32(l) - 1];"),
    "workgroup memory relied on as zero": ("uninitialised-read", "o[i] = w[l];"),
    "a workgroup atomic relied on as zero": ("uninitialised-read", "atomicAdd(&ac, 1u);"),
}


def _run(body: str, **options):
    result = compile_wgsl(HEAD + body + "\n}").run(
        workgroups=(3,),
        buffers={0: np.zeros(256, np.uint32), 1: np.arange(256, dtype=np.uint32)},
        max_steps=options.pop("max_steps", 2000),
        **options,
    )
    return result


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_kernel_has_no_findings(name):
    assert [f.message for f in _run(CLEAN[name]).findings] == []


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_kernel_has_a_hard_finding(name):
    kind, body = FAULTY[name]
    assert kind in {f.kind for f in _run(body).hard}


@pytest.mark.parametrize("name", SOFT)
def test_a_doubtful_kernel_has_a_soft_finding(name):
    kind, body = SOFT[name]
    assert (kind, False) in {(f.kind, f.hard) for f in _run(body).findings}


def test_a_race_names_both_lines_both_invocations_and_the_element():
    (finding,) = _run("w[l] = i;\n  o[i] = w[63u - l];").hard
    first = HEAD.count("\n") + 1
    assert {finding.line, finding.other_line} == {first, first + 1}
    assert finding.variable == "w"
    for part in ("invocation 0", "invocation 63", "w[63]", "o[i] = w[63u - l];", "workgroupBarrier()"):
        assert part in finding.message


def test_detection_can_be_left_out():
    result = _run("w[l] = i; o[i] = w[63u - l];", detect=False)
    assert result.findings == []
    assert result.buffers[0].view(np.uint32)[0] == 63


def test_a_read_outside_gives_poison_and_a_write_outside_is_lost():
    out = _run("o[i] = x[i + 256u]; o[i + 1000u] = 1u;").buffers[0].view(np.uint32)
    assert len(set(out[:192].tolist())) == 1
    assert out[0] > 1 << 31
    assert np.isnan(out[:1].view(np.float32))[0]


def test_the_contract_ends_before_the_buffer():
    module = compile_wgsl(HEAD + "let v = o[i]; if i <= 10u { o[i] = v + 1u; }\n}")
    data = np.arange(256, dtype=np.uint32)
    result = module.run(
        workgroups=(3,), buffers={0: BufferIn(data.view(np.uint8), logical_bytes=40), 1: data}
    )
    assert {f.kind for f in result.findings} == {"out-of-bounds-read", "out-of-bounds-write"}
    out = result.buffers[0].view(np.uint32)
    np.testing.assert_array_equal(out[:10], np.arange(1, 11))
    np.testing.assert_array_equal(out[11:], data[11:])
    assert result.written[0][:12].tolist() == [True] * 11 + [False]


def test_an_undefined_buffer_is_poison_until_written():
    module = compile_wgsl(HEAD + "if i != 7u { o[i] = 0u; } o[i] = o[i] + 1u;\n}")
    blank = BufferIn(np.zeros(768, np.uint8), undefined=True)
    result = module.run(workgroups=(3,), buffers={0: blank, 1: np.zeros(256, np.uint32)})
    assert [f.kind for f in result.findings] == ["uninitialised-read"]
    out = result.buffers[0].view(np.uint32)
    assert out[7] > 1 << 31
    assert set(np.delete(out, 7).tolist()) == {1}


def test_cost_counts_traffic_exactly():
    cost = _run("o[i] = x[i] + x[0];", cost=True).cost
    assert cost is not None
    assert (cost.total.loads, cost.total.stores) == (384, 192)
    assert (cost.total.load_bytes, cost.total.store_bytes) == (1536, 768)
    assert (cost.distinct_load_bytes, cost.distinct_store_bytes) == (768, 768)
    # Six groups of 32: one transaction each for x[i], for x[0] and for the store.
    assert cost.total.transactions == 18


def test_cost_sees_strided_access_and_bank_conflicts():
    body = "o[(i * 32u) % 192u + i / 6u % 32u] = 1u; w[(l * 32u) % 64u + l / 2u] = 1u;"
    cost = _run(body, cost=True).cost
    assert cost is not None
    total = cost.total
    assert total.transactions > 6
    assert total.bank_conflicts > 0
