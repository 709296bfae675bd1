"""What the checker refuses: where it points and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from gradschool.errors import KernelError
from gradschool.wgsl import BufferIn, WgslError, compile_wgsl

# Body of a function (or a whole source when it holds `fn` or a declaration), the text the caret starts at, and words.
REFUSED = [
    ("let a = 1; a = 2;", "a = 2", "cannot be changed"),
    ("let a: u32 = 1i;", "1i", "must be u32, got i32"),
    ("var a = 1u; var b = 1i; let c = a + b;", "+ b", "+ cannot join u32 and i32"),
    ("let a = 1.5; let b = a % 2u;", "% 2u", "cannot join f32 and u32"),
    ("if 1u { }", "1u", "must be bool"),
    ("let a = foo;", "foo", "nothing is called foo"),
    ("let a = workgroupBarier();", "workgroupBarier", "nothing is called workgroupBarier"),
    ("let a = max(1u, 2i);", "max(", "max does not take (u32, i32)"),
    ("let a = sqrt(4u);", "sqrt", "sqrt does not take (u32)"),
    ("var a = array<f32, 4>(); a[4] = 1.0;", "4] =", "outside"),
    ("let a = 5 / 0;", "/", "divides by zero"),
    ("let a = 2147483648i;", "2147483648i", "does not fit in i32"),
    ("let a = 1u << 32u;", "<<", "less than 32"),
    ("let a = -1u;", "-1u", "cannot be applied to u32"),
    ("var a = vec3f(1, 2);", "vec3f", "needs 3 components"),
    ("var a = vec2f(1.0); a.z = 1.0;", "z =", "no component z"),
    ("var a = vec2f(1.0); a.xy = vec2f();", "a.xy", "several components"),
    ("let a = 1 < 2 < 3;", "< 3", "chained"),
    ("let a = 1 & 2 | 3;", "| 3", "parentheses"),
    ("var f = 1.0; f++;", "++", "needs i32 or u32"),
    ("let a = 1 + 2 << 3u;", "<<", "need parentheses"),
    ("let a = 1 << 2u + 3u;", "+ 3u", "need parentheses"),
    ("let a = 1 + 2 & 3;", "& 3", "need parentheses"),
    ("loop { }", "loop", "never ends"),
    ("break;", "break", "only allowed inside"),
    ("let target = 1;", "target", "reserved word"),
    ("let a = 1", "1", "expected ;"),
    ("++x;", "++", "no prefix"),
    ("let a = true ? 1 : 2;", "?", "WGSL has no character"),
    ("var<workgroup> a: u32;", "a: u32", "outside functions"),
    ("let a = bitcast<u32>(vec2f());", "bitcast", "same number of bits"),
    ("fn f() -> u32 { if true { return 1u; } }", "}", "can end without returning"),
    ("fn f() { g(); } fn g() { f(); }", "f(); }", "calls itself"),
    ("fn f(a: u32) { a = 2u; }", "a = 2u", "a parameter"),
    ("fn f(p: ptr<function, u32>) {} fn g() { var a: array<u32, 2>; f(&a[0]); }", "&a[0]", "whole variable"),
    ("var<private> a: array<f32>;", "a: array", "var<storage>"),
    ("@group(0) @binding(0) var<storage> a: array<bool>;", "a: array", "cannot be in a buffer"),
    ("@group(0) @binding(0) var<uniform> a: array<f32, 4>;", "a: array", "16 bytes apart"),
    (
        "@group(0) @binding(0) var<storage, read> a: array<f32>; fn f() { a[0] = 1.0; }",
        "a[0]",
        "can only be read",
    ),
    ("@compute @workgroup_size(1024) fn main() {}", "@workgroup_size", "1024 invocations"),
    (
        "var<workgroup> a: array<f32, 5000>; @compute @workgroup_size(1) fn main() { a[0] = 1.0; }",
        "main",
        "workgroup memory",
    ),
    ("struct A { b: array<A, 2> }", "struct", "defined by itself"),
    ("const_assert 1 > 2;", "const_assert", "does not hold"),
    ("fn f() { let a = 1h; }", "1h", "f16 is not enabled"),
    ("var<storage, read> a: array<f32>;", "a: array", "@group and @binding"),
]


@pytest.mark.parametrize(("body", "at", "words"), REFUSED, ids=[c[0][:40] for c in REFUSED])
def test_a_broken_rule_is_pointed_at(body, at, words):
    whole = "fn " in body or body.startswith(("var<private>", "@", "struct", "const_assert", "var<storage"))
    source = body if whole else f"fn f() {{ {body} }}"
    with pytest.raises(WgslError) as caught:
        compile_wgsl(source, "lesson.wgsl")
    error = caught.value
    assert words in error.message, str(error)
    assert source[error.column - 1 :].startswith(at), str(error)
    assert str(error).startswith(f"lesson.wgsl:1:{error.column}: ")
    assert "^" in str(error)


HOSTILE = {
    "parentheses": "fn f() { let a = " + "(" * 3000 + "1" + ")" * 3000 + "; }",
    "a long sum": "fn f() { let a = 1" + "+ 1" * 5000 + "; }",
    "blocks": "fn f() {" + "{" * 3000 + "}" * 3000 + "}",
    "else if": "fn f() { if true {}" + " else if true {}" * 500 + "}",
    "loops": "fn f() {" + "for (;;) {" * 20 + "break;" + "}" * 20 + "}",
    "templates": "var<private> x: " + "array<" * 3000 + "f32" + ", 2>" * 3000 + ";",
    "minus": "fn f() { let a = " + "-" * 5000 + "1; }",
    "an enormous array": "var<private> x: array<f32, 100000000>;",
    "a tree of structs": "struct S0 { a: u32, b: u32 }"
    + "".join(f"struct S{i} {{ a: S{i - 1}, b: S{i - 1} }}" for i in range(1, 40)),
    "many digits": "const x = " + "9" * 6000 + ";",
    "a chain of calls": "fn f0() {}" + "".join(f"fn f{i}() {{ f{i - 1}(); }}" for i in range(1, 1500)),
    "a long source": "//" + "x" * 70_000,
    "a stray character": "fn f() { let a = $; }",
    "an endless comment": "/* /* */",
    "a zero byte": "\0",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_source_is_refused_with_a_sentence(name):
    with pytest.raises(WgslError) as caught:
        compile_wgsl(HOSTILE[name])
    assert len(str(caught.value)) < 1500


def test_calls_that_multiply_end_at_the_step_budget():
    calls = "".join(f"fn f{i}() {{ f{i - 1}(); f{i - 1}(); }}" for i in range(1, 60))
    module = compile_wgsl("fn f0() {}" + calls + "@compute @workgroup_size(1) fn main() { f59(); }")
    (finding,) = module.run(max_steps=1000).findings
    assert finding.kind == "step-budget"
    assert finding.hard


ADD = """
struct Params { n: u32, scale: vec3f }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(8, 2) fn main() { out[0] = params.scale.y; }
"""


def test_bindings_describe_the_layout():
    module = compile_wgsl(ADD)
    params, out = module.bindings
    assert module.entry_points["main"].workgroup_size == (8, 2, 1)
    assert (params.name, params.address_space, params.access, params.type.size, params.type.align) == (
        "params",
        "uniform",
        "read",
        32,
        16,
    )
    assert [(f.name, f.type, f.offset) for f in params.type.layout] == [
        ("n", "u32", 0),
        ("scale", "vec3<f32>", 16),
    ]
    assert (out.address_space, out.access, out.type.stride, out.type.runtime_sized) == (
        "storage",
        "read_write",
        4,
        True,
    )


def test_a_run_checks_its_arguments():
    module = compile_wgsl(ADD)
    good = {0: np.zeros(32, np.uint8), 1: np.zeros(4, np.float32)}
    for options, words in [
        ({"entry": "nope"}, "no entry point nope"),
        ({"buffers": {}}, "has no buffer"),
        ({"buffers": {0: np.zeros(8, np.uint8), 1: good[1]}}, "at least 32 bytes"),
        ({"buffers": {0: BufferIn(np.zeros((4, 8), np.uint8)), 1: good[1]}}, "1-D uint8"),
        ({"workgroups": (70_000,)}, "0 to 65535"),
    ]:
        with pytest.raises(KernelError) as caught:
            module.run(**{"buffers": good, **options})
        assert words in caught.value.message


def test_inputs_are_never_changed():
    module = compile_wgsl(ADD)
    params = np.arange(8, dtype=np.float32)
    out = np.zeros(4, np.float32)
    result = module.run(buffers={0: params, 1: out})
    assert result.buffers[1].view(np.float32)[0] == 5.0
    assert not out.any()
