"""Each kind of mistake in WGSL, on a line that shows it; every mutant of real kernels can be read."""

from __future__ import annotations

import pytest

from gradschool.mutation import mutants_of
from gradschool.mutation.wgsl_edits import wgsl_edits
from gradschool.pack import find_pack
from gradschool.wgsl.errors import Source
from gradschool.wgsl.parser import parse

HEAD = """\
struct Params { n: u32, m: u32, alpha: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
var<workgroup> part: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global_id: vec3u, @builtin(local_invocation_id) local_id: vec3u) {
"""


def changes(body: str) -> set[tuple[str, str]]:
    """Return kind and new body of every mutant of an entry point with this body."""
    source = f"{HEAD}{body}\n}}\n"
    found = set()
    for edit in wgsl_edits(source):
        changed = edit.apply(source)
        parse(Source(changed, "kernel.wgsl"))
        if changed.startswith(HEAD):
            found.add((edit.operator, changed.removeprefix(HEAD).removesuffix("\n}\n")))
    return found


CASES = [
    ("operator", "let x = a + b;", "let x = a - b;"),
    ("operator", "let x = a && b;", "let x = a || b;"),
    ("comparison", "let x = a < b;", "let x = a <= b;"),
    ("comparison", "let x = a < b;", "let x = a >= b;"),
    ("term", "let x = (a + b) * c;", "let x = (a + b);"),
    ("term", "let x = a + b + c;", "let x = a + c;"),
    ("term", "let x = a || b;", "let x = b;"),
    ("swap", "let x = a - b - c;", "let x = c - (a - b);"),
    ("negation", "let x = -(a + b);", "let x = (a + b);"),
    ("constant", "let x = 0.0;", "let x = 1.0;"),
    ("constant", "let x = 4u;", "let x = 5u;"),
    ("constant", "let x = 4u;", "let x = 3u;"),
    ("constant", "let x = 4u;", "let x = 0u;"),
    ("constant", "let x = 0.044715;", "let x = 0.04516215;"),
    ("constant", "let x = 0x1p-24;", "let x = 0x1p-23;"),
    ("constant", "let x = 0x1.8p+3f;", "let x = 0x1.8p4f;"),
    ("constant", "let x = 0xffu;", "let x = 0xfeu;"),
    ("constant", "let x = true;", "let x = false;"),
    ("index", "out[i] = 1.0;", "out[i + 1] = 1.0;"),
    ("index", "out[a * b] = 1.0;", "out[a * b - 1] = 1.0;"),
    ("component", "let i = global_id.x;", "let i = global_id.y;"),
    ("name", "let i = global_id.x;", "let i = local_id.x;"),
    ("name", "let i = params.n;", "let i = params.m;"),
    ("function", "let x = max(a, b);", "let x = min(a, b);"),
    ("function", "atomicAdd(&a, 1u);", "atomicSub(&a, 1u);"),
    ("argument", "let x = select(a, b, c);", "let x = select(b, a, c);"),
    ("unwrap", "let x = exp(a - b) * c;", "let x = (a - b) * c;"),
    ("unwrap", "let x = max(a, b);", "let x = b;"),
    ("statement", "out[i] = 1.0;", ";"),
    ("statement", "loop { break; }", "loop { continue; }"),
    ("barrier", "workgroupBarrier();", ";"),
    ("barrier", "workgroupBarrier();", "storageBarrier();"),
    ("guard", "if (i >= n) { return; }", "if (false) { return; }"),
    ("guard", "if (i >= n) { return; }", "if (true) { return; }"),
    ("assignment", "x += a;", "x -= a;"),
    ("assignment", "x += a;", "x = a;"),
    ("assignment", "x++;", "x--;"),
    ("loop", "for (var k = a; k < n; k += s) { }", "for (var k = a + 1; k < n; k += s) { }"),
    ("loop", "for (var k = a; k < n; k += s) { }", "for (var k = a; k < n - 1; k += s) { }"),
    ("loop", "for (var k = a; k < n; k += s) { }", "for (var k = a; k < n; k += 1) { }"),
    ("loop", "for (var k = a; k < n; k++) { }", "for (var k = a; k < n; k+= 2) { }"),
    ("loop", "for (var k = a; k < n; k++) { }", "for (var k = a; false; k++) { }"),
]


@pytest.mark.parametrize(("kind", "body", "changed"), CASES, ids=[f"{c[0]}: {c[2]}" for c in CASES])
def test_a_mistake_of_this_kind_is_made(kind: str, body: str, changed: str) -> None:
    assert (kind, changed) in changes(body)


KERNELS = [("00", "row_sum.wgsl"), ("02", "matmul_tiled.wgsl"), ("07", "rotary_forward.wgsl")]


@pytest.mark.parametrize(("stage_id", "kernel"), KERNELS, ids=[kernel for _, kernel in KERNELS])
def test_every_mutant_of_a_kernel_can_be_read(stage_id: str, kernel: str) -> None:
    mutants = mutants_of(find_pack().stage(stage_id), kernel)
    assert len(mutants) > 50
    for mutant in mutants:
        parse(Source(mutant.source, kernel))
