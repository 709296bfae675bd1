"""WGSL that hangs, crashes, exhausts or deceives: it loses its own points, in the same words on every machine."""

from __future__ import annotations

from typing import Any

import pytest

KERNEL = "scale_shift.wgsl"
HEAD = """
struct Params {
  n: u32,
  alpha: f32,
  beta: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
"""
MAIN = "@compute @workgroup_size(64)\nfn main(@builtin(global_invocation_id) id: vec3u) {\n"
GUARD = "  let i = id.x;\n  if (i >= params.n) { return; }\n"
ANSWER = "  out[i] = params.alpha * x[i] + params.beta;\n"


def whole(body: str, before: str = "", guard: str = GUARD) -> str:
    """A kernel with this in its main."""
    return f"{HEAD}{before}{MAIN}{guard}{body}\n}}\n"


def chain(name: str, n: int, last: str = "1.0") -> str:
    """Functions that each call the one before twice."""
    lines = [f"fn {name}0(a: f32) -> f32 {{ return {last}; }}"]
    lines += [
        f"fn {name}{i}(a: f32) -> f32 {{ return {name}{i - 1}(a) + {name}{i - 1}(a); }}" for i in range(1, n)
    ]
    return "\n".join(lines) + "\n"


# What the kernel is, and words of the record.
CRASHING = {
    "three thousand parentheses": (whole(f"out[i] = {'(' * 3000}1.0{')' * 3000};"), "nested more than"),
    "three thousand minus signs": (whole(f"out[i] = {'- ' * 3000}1.0;"), "nested more than"),
    "a sum of five thousand": (whole(f"out[i] = {'x[i] + ' * 5000}1.0;"), "nested more than"),
    "two hundred blocks": (whole("{" * 200 + ANSWER + "}" * 200), "nested more than"),
    "loops in loops in loops": (whole("loop { " * 30 + "break; }" * 30), "nested more than"),
    "types in types in types": (whole(f"var v: {'array<' * 300}f32{', 1>' * 300};"), "nested more than"),
    "twenty thousand statements": (whole("a+=1.;" * 12_000, guard="var a = 0.0;\n"), "bytes; at most 65536"),
    "an array of 16 MB of its own": (
        whole("out[i] = big[i];", "var<private> big: array<f32, 4194304>;\n"),
        "bytes",
    ),
    "an array of 16 MB in its function": (whole("var big: array<f32, 4194304>; out[i] = big[i];"), "bytes"),
    "workgroup memory of 64 MB": (
        whole("out[i] = w[0];", "var<workgroup> w: array<f32, 16777216>;\n"),
        "16384",
    ),
    "workgroup memory one word too large": (
        whole("out[i] = w[0];", "var<workgroup> w: array<f32, 4097>;\n"),
        "16384",
    ),
    "an array without end": (whole("var big: array<f32, 4294967295>;"), "elements"),
    "a struct of a million members": (
        whole(
            "var s: S20;",
            "struct S0 { a: f32 }\n"
            + "".join(f"struct S{i} {{ a: S{i - 1}, b: S{i - 1} }}\n" for i in range(1, 21)),
        ),
        "bytes",
    ),
    "a pointer to a component": (
        whole(
            "var v = vec4f(); store(&v[1]); out[i] = v.y;", "fn store(p: ptr<function, f32>) { *p = 1.0; }\n"
        ),
        "scale_shift.wgsl:",
    ),
    "a pointer to a pointer": (
        whole("var v = 1.0; let p = &v; let q = &p; out[i] = **q;"),
        "scale_shift.wgsl:",
    ),
    "a function that calls itself": (
        whole("out[i] = f(1.0);", "fn f(a: f32) -> f32 { return f(a); }\n"),
        "calls itself",
    ),
    "a constant that defines itself": (
        whole("out[i] = a;", "const a = b; const b = a;\n"),
        "defined by itself",
    ),
    "a constant that doubles": (
        whole(
            "out[i] = f32(c40);",
            "const c0 = 3;\n" + "".join(f"const c{i} = c{i - 1} * c{i - 1};\n" for i in range(1, 41)),
        ),
        "does not fit",
    ),
    "a float beyond all floats": (whole("out[i] = 0x1p999999999;"), "does not fit"),
    "an int of five thousand digits": (whole(f"out[i] = {'9' * 5000};"), "too many digits"),
    "a division by zero": (whole("const a = 1 / 0; out[i] = f32(a);"), "divides by zero"),
    "a workgroup of none": (whole(ANSWER).replace("(64)", "(0)"), "at least 1"),
    "a workgroup of a thousand": (whole(ANSWER).replace("(64)", "(1024)"), "1024"),
    "a workgroup of everything": (
        whole(ANSWER).replace("(64)", "(4294967295, 4294967295, 4294967295)"),
        "invocations",
    ),
    "a zero byte": (whole(ANSWER) + "\0", "WGSL has no character"),
    "a comment that never ends": (HEAD + "/* " * 20_000, "never ends"),
    "main, six thousand times": (HEAD + "fn main() " * 6_000, "scale_shift.wgsl:"),
    "an error in a line of 60 KB": (whole(" " * 60_000 + "oops"), "scale_shift.wgsl:"),
    "a name of 60 KB that is nothing": (whole(f"out[i] = {'y' * 60_000};"), "scale_shift.wgsl:"),
    "another stage of the pipeline": (
        HEAD + "@fragment fn main() -> @location(0) vec4f { return vec4f(); }",
        KERNEL,
    ),
    "words of another language": (HEAD + "#include </etc/passwd>\nvoid main() {}", "WGSL has no character"),
}

HANGING = {
    "a loop without end": (whole("var k = 0u; while (k < 1u) { k = k * 1u; }"), "loop"),
    "a loop that only one leaves": (whole("loop { if (i == 0u) { break; } }"), "loop"),
    "a loop of all numbers": (
        whole("var s = 0.0; for (var k = 0u; k < 4294967295u; k++) { s += x[k]; } out[i] = s;"),
        "loop",
    ),
    "a barrier that some never reach": (
        whole("workgroupBarrier();\n" + ANSWER, "var<workgroup> w: array<f32, 64>;\n"),
        "workgroupBarrier",
    ),
    "calls that double forty times": (whole("out[i] = f39(x[i]);", chain("f", 40)), KERNEL),
}

DECEIVING = {
    "writes its input": (
        whole("x[i] = 0.0;\n" + ANSWER).replace("var<storage, read> x", "var<storage, read_write> x"),
        "contract",
    ),
    "declares a binding of its own": (
        whole(ANSWER, "@group(0) @binding(3) var<storage, read_write> answers: array<f32>;\n"),
        "contract",
    ),
    "declares a second group": (
        whole(ANSWER, "@group(1) @binding(0) var<storage, read_write> answers: array<f32>;\n"),
        "@group(0)",
    ),
    "writes all there is": (
        whole("for (var k = 0u; k < arrayLength(&out); k++) { out[k] = 6.0; }"),
        "Every value is the same",
    ),
    "writes far outside": (whole("out[i + 100000u] = 1.0;\n" + ANSWER), "out of bounds write"),
    "leaves what it found": (whole("if (out[i] != out[i]) { return; }\n" + ANSWER), "NaN"),
    "answers with what was there before": (whole("out[i] = out[i];"), "NaN"),
    "answers with another's workgroup memory": (
        whole("out[i] = w[i % 64u];", "var<workgroup> w: array<f32, 64>;\n"),
        "NaN",
    ),
    "answers with zeros": (whole("out[i] = 0.0;"), "zero"),
    "answers with NaN": (whole("out[i] = bitcast<f32>(0x7fc00000u + i);"), "NaN"),
    "races with itself": (whole("out[0] = f32(i);\n" + ANSWER, guard="let i = id.x;\n"), "scale_shift.wgsl"),
    "does nothing": (whole("", guard=""), "not written yet"),
    "hides main in a comment": ("// fn main() { }\n" + HEAD + "/* " + MAIN + "} */", "main"),
    "has main under another name": (whole(ANSWER).replace("fn main", "fn ma\u0131n"), "main"),
}

# Odd, and right: nobody loses a point for it.
ODD = {
    "right with a comment from right to left": whole("// \u202e\u2066 0.0 = ]i[tuo\n" + ANSWER),
    "right with marks of other languages": whole(
        "let größe = x[i]; out[i] = params.alpha * größe + params.beta;"
    ),
    "right with two names that look alike": whole(
        "let \ufb01 = params.alpha; let fi = x[i]; out[i] = \ufb01 * fi + params.beta;"
    ),
    "right with comments in comments": whole("/*" * 500 + "*/" * 500 + ANSWER),
    "right with a thousand other entry points": whole(ANSWER)
    + "".join(f"@compute @workgroup_size(1) fn other{i}() {{ }}\n" for i in range(300)),
}

# Numbers and safety are judged apart: 2 points and 1 point.
SAFE_AT_LEAST = (
    "answers with what was there before",
    "answers with another's workgroup memory",
    "answers with zeros",
    "answers with NaN",
)
RIGHT_AT_LEAST = ("writes far outside", "a barrier that some never reach", "races with itself")


def _left(name: str) -> float:
    return 2.0 * (name in RIGHT_AT_LEAST) + 1.0 * (name in SAFE_AT_LEAST)


TABLE: dict[str, dict[str, Any]] = {
    **{
        name: {"kernel": text, "loses": {KERNEL: _left(name)}, "says": (words,)}
        for table in (CRASHING, HANGING, DECEIVING)
        for name, (text, words) in table.items()
    },
    **{name: {"kernel": text} for name, text in ODD.items()},
}


@pytest.fixture(scope="module")
def graded(grade_attacks):
    return grade_attacks(TABLE)


@pytest.mark.parametrize("name", [*TABLE, "aaron", "mira", "zoe"])
def test_a_kernel_loses_its_own_points_at_most(graded, name: str) -> None:
    graded.expect(name)


def test_no_kernel_makes_a_message_of_its_own_length(graded) -> None:
    for student, record in graded.records.items():
        assert max(len(item.message) for item in record.exercises) < 4_000, student
