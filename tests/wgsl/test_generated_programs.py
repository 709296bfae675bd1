"""Random programs: integers bit-equal to the driver, floats too where WGSL leaves no freedom.

`GRADSCHOOL_WGSL_PROGRAMS=2000` runs that many; the default keeps the suite quick.
"""

from __future__ import annotations

import os
import random

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

N_PROGRAMS = int(os.environ.get("GRADSCHOOL_WGSL_PROGRAMS", "12"))
LANES = 64

INT_UNARY = ["abs", "countOneBits", "firstLeadingBit", "reverseBits", "countTrailingZeros"]
FLOAT_UNARY = ["abs", "floor", "ceil", "trunc", "sign"]


class Writer:
    """Writes one program; every value stays finite and every loop ends."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.names: dict[str, list[str]] = {"i32": [], "u32": [], "f32": [], "vec2<i32>": [], "vec3<f32>": []}
        self.fixed: set[str] = set()
        self.count = 0
        self.loops = 0
        self.uniform = True  # all invocations are here, so a barrier is allowed

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    # Expressions.

    def expr(self, ty: str, depth: int) -> str:
        r = self.rng
        if depth <= 0 or r.random() < 0.15:
            return self.leaf(ty)
        if ty == "bool":
            return self.condition(depth)
        if ty == "f32":
            return self.float(depth)
        if ty == "vec2<i32>":
            kind = r.randrange(4)
            if kind == 0:
                return f"vec2<i32>({self.expr('i32', depth - 1)}, {self.expr('i32', depth - 1)})"
            if kind == 1:
                return f"{self.leaf(ty)}.yx"
            return f"({self.expr(ty, depth - 1)} {r.choice(['+', '-', '*', '&', '^', '|'])} {self.expr(ty, depth - 1)})"
        if ty == "vec3<f32>":
            a, b = self.expr(ty, depth - 1), self.expr(ty, depth - 1)
            return f"clamp({a} {r.choice('+-')} {b}, vec3<f32>(-64.0), vec3<f32>(64.0))"
        return self.integer(ty, depth)

    def leaf(self, ty: str) -> str:
        r = self.rng
        if ty == "bool":
            return r.choice(["true", "false", f"({self.leaf('i32')} > 3)"])
        if self.names[ty] and r.random() < 0.7:
            return r.choice(self.names[ty])
        if ty == "i32":
            return str(r.choice([0, 1, 2, 7, 31, 255, 65537, 2147483647]))
        if ty == "u32":
            return f"{r.choice([0, 1, 3, 31, 32, 255, 4294967295, 2654435769])}u"
        if ty == "f32":
            return r.choice(["0.0", "1.0", "-2.5", "0.125", "3.0", "1e1"])
        if ty == "vec2<i32>":
            return f"vec2<i32>({self.leaf('i32')})"
        return f"vec3<f32>({self.leaf('f32')}, 1.0, {self.leaf('f32')})"

    def integer(self, ty: str, depth: int) -> str:
        r = self.rng
        a, b = self.expr(ty, depth - 1), self.expr(ty, depth - 1)
        kind = r.randrange(13)
        if kind < 5:
            # A named operand keeps the compiler from seeing a constant that overflows or divides by zero.
            op = r.choice("+-*&|^/%")
            return f"({self.named(ty)} {op} ({self.named(ty) if op in '/%' else b}))"
        if kind == 5:
            return f"(({a}) {r.choice('&|^')} ({self.named(ty)}))"
        if kind == 6:
            return f"({self.named(ty)} {r.choice(['<<', '>>'])} (({self.expr('u32', depth - 2)}) & 31u))"
        if kind == 7:
            return f"{r.choice(INT_UNARY)}({self.named(ty)} ^ ({a}))"
        if kind == 8:
            return f"{r.choice(['min', 'max'])}({a}, {self.named(ty)})"
        if kind == 9:
            return f"select({a}, {b}, {self.condition(depth - 1)})"
        if kind == 10:
            other = "u32" if ty == "i32" else "i32"
            return (
                f"{r.choice([ty, f'bitcast<{ty}>'])}({self.named(other)} ^ ({self.expr(other, depth - 1)}))"
            )
        if kind == 11:
            return f"{ty}({self.condition(depth - 1)})" if ty == "u32" else f"(~({self.named(ty)}))"
        if ty == "i32" and self.names["vec2<i32>"]:
            return f"{r.choice(self.names['vec2<i32>'])}.{r.choice('xy')}"
        return f"extractBits({self.named(ty)}, {r.randrange(32)}u, {r.randrange(1, 33)}u)"

    def named(self, ty: str) -> str:
        return self.rng.choice(self.names[ty])

    def float(self, depth: int) -> str:
        r = self.rng
        a, b = self.expr("f32", depth - 1), self.expr("f32", depth - 1)
        kind = r.randrange(7)
        if kind < 2:
            return f"clamp({self.named('f32')} {r.choice('+-')} ({a}), -64.0, 64.0)"
        if kind == 2:
            return f"clamp({self.named('f32')} * ({b}), -64.0, 64.0)"
        if kind == 3:
            return f"{r.choice(FLOAT_UNARY)}({self.named('f32')})"
        if kind == 4:
            return f"{r.choice(['min', 'max'])}({a}, {self.named('f32')})"
        if kind == 5:
            return f"f32(({self.expr('i32', depth - 1)}) & 63)" if self.names["i32"] else a
        return f"select({a}, {b}, {self.condition(depth - 1)})"

    def condition(self, depth: int) -> str:
        r = self.rng
        if depth > 0 and r.random() < 0.3:
            return f"({self.condition(depth - 1)} {r.choice(['&&', '||'])} {self.condition(depth - 1)})"
        ty = r.choice(["i32", "u32", "f32"])
        return f"({self.named(ty)} {r.choice(['<', '<=', '>', '>=', '==', '!='])} {self.expr(ty, depth - 1)})"

    # Statements.

    def block(self, depth: int, lines: int, indent: str, in_loop: bool) -> list[str]:
        saved = {k: list(v) for k, v in self.names.items()}
        out: list[str] = []
        for _ in range(lines):
            out += self.statement(depth, indent, in_loop)
        self.names = saved
        return out

    def inner(self, depth: int, indent: str, in_loop: bool) -> list[str]:
        uniform, self.uniform = self.uniform, False
        out = self.block(depth - 1, self.rng.randrange(1, 4), indent + "  ", in_loop)
        self.uniform = uniform
        return out

    def statement(self, depth: int, indent: str, in_loop: bool) -> list[str]:
        r = self.rng
        kind = r.randrange(13 if depth > 0 else 5)
        if kind < 2:
            ty = r.choice(list(self.names))
            value, name = self.expr(ty, 3), self.name()
            word = r.choice(["var", "var", "let"])
            if word == "let":
                self.fixed.add(name)
            self.names[ty].append(name)
            return [f"{indent}{word} {name}: {ty} = {value};"]
        if kind < 5:
            return [indent + self.assignment()]
        if kind < 8:
            out = [f"{indent}if {self.condition(2)} {{", *self.inner(depth, indent, in_loop)]
            if r.random() < 0.5:
                out += [f"{indent}}} else {{", *self.inner(depth, indent, in_loop)]
            return [*out, indent + "}"]
        if kind == 8 and self.loops < 3:
            return self.loop(depth, indent)
        if kind == 9:
            out = [f"{indent}switch {self.named('i32')} & 3 {{"]
            for label in ("case 0", "case 1, 2", "default"):
                out += [f"{indent}  {label}: {{", *self.inner(depth, indent + "  ", in_loop), indent + "  }"]
            return [*out, indent + "}"]
        if kind == 10 and in_loop:
            word = r.choice(["break", "continue"])
            return [f"{indent}if {self.condition(1)} {{ {word}; }}"]
        if kind == 11 and self.uniform:
            # Neighbours exchange a value; both barriers are reached by all.
            return [
                f"{indent}shared_words[l] = {self.expr('u32', 2)};",
                f"{indent}workgroupBarrier();",
                f"{indent}{self.target('u32')} ^= shared_words[(l + {r.randrange(LANES)}u) % {LANES}u];",
                f"{indent}workgroupBarrier();",
            ]
        k, j = self.expr("u32", 1), self.expr("u32", 1)
        return [
            f"{indent}cells[({k}) % 5u] += {self.expr('u32', 2)};",
            f"{indent}{self.target('u32')} += cells[({j}) % 5u];",
        ]

    def target(self, ty: str) -> str:
        return self.rng.choice([n for n in self.names[ty] if n not in self.fixed])

    def assignment(self) -> str:
        r = self.rng
        ty = r.choice(list(self.names))
        if ty == "vec2<i32>" and r.random() < 0.5:
            return f"{self.target(ty)}.{r.choice('xy')} = {self.expr('i32', 2)};"
        if ty == "vec2<i32>" and r.random() < 0.5:
            return f"{self.target(ty)}[({self.expr('u32', 1)}) & 1u] += {self.expr('i32', 2)};"
        if ty in ("i32", "u32") and r.random() < 0.5:
            return f"{self.target(ty)} {r.choice(['+=', '-=', '*=', '^=', '|='])} {self.expr(ty, 2)};"
        if ty == "u32" and r.random() < 0.3:
            return f"{self.target(ty)} = helper({self.expr('u32', 1)}, {self.expr('i32', 1)});"
        return f"{self.target(ty)} = {self.expr(ty, 3)};"

    def loop(self, depth: int, indent: str) -> list[str]:
        r = self.rng
        self.loops += 1
        k = self.name()
        self.fixed.add(k)
        limit = r.choice([str(r.randrange(1, 6)), f"({self.named('i32')} & 7)"])
        saved = {t: list(v) for t, v in self.names.items()}
        self.names["i32"].append(k)
        body = self.inner(depth, indent, True)
        self.names = saved
        self.loops -= 1
        if r.random() < 0.6:
            return [f"{indent}for (var {k} = 0; {k} < {limit}; {k}++) {{", *body, indent + "}"]
        return [
            f"{indent}var {k} = 0;",
            f"{indent}loop {{",
            f"{indent}  if {k} >= {limit} {{ break; }}",
            *body,
            f"{indent}  continuing {{ {k}++; }}",
            indent + "}",
        ]


def write_program(rng: random.Random) -> str:
    """Text of a random kernel over three buffers."""
    w = Writer(rng)
    w.names.update({"i32": ["s"], "u32": ["a", "b"], "f32": ["p"], "vec2<i32>": ["c"], "vec3<f32>": ["q"]})
    body = w.block(2, rng.randrange(5, 9), "  ", False)
    helper = Writer(rng)
    helper.names.update({"i32": ["s"], "u32": ["a", "b"], "f32": ["p"]})
    helper.names["vec2<i32>"] = []
    return "\n".join(
        [
            "@group(0) @binding(0) var<storage, read_write> o: array<u32>;",
            "@group(0) @binding(1) var<storage, read> x: array<u32>;",
            "@group(0) @binding(2) var<storage, read> f: array<f32>;",
            f"var<workgroup> shared_words: array<u32, {LANES}>;",
            "var<private> calls: u32;",
            "fn helper(b: u32, s: i32) -> u32 {",
            "  var a = b;",
            "  calls += 1u;",
            "  let p = f32(s & 15);",
            f"  if {helper.condition(1)} {{ return {helper.integer('u32', 2)}; }}",
            f"  for (var k = 0; k < 3; k++) {{ a ^= {helper.integer('u32', 2)}; if a > b {{ return a + u32(k); }} }}",
            "  return a;",
            "}",
            f"@compute @workgroup_size({LANES})",
            "fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32) {",
            "  let i = id.x;",
            f"  var a = x[i]; var b = x[i + {2 * LANES}u]; var s = bitcast<i32>(a ^ (b >> 3u)); var p = f[i];",
            "  var c = vec2<i32>(s, i32(i)); var q = vec3<f32>(p, 1.0, -p);",
            "  var cells = array<u32, 5>(1u, 2u, 3u, 4u, 5u);",
            *body,
            "  o[i * 8u] = a; o[i * 8u + 1u] = b; o[i * 8u + 2u] = bitcast<u32>(s); o[i * 8u + 3u] = bitcast<u32>(c.x ^ c.y);",
            "  o[i * 8u + 4u] = cells[a % 5u]; o[i * 8u + 5u] = calls; o[i * 8u + 6u] = bitcast<u32>(select(p, 0.0, p == 0.0));",
            # Drivers may drop the sign of a zero.
            "  let sum = q.x + q.y * 0.5; o[i * 8u + 7u] = bitcast<u32>(select(sum, 0.0, sum == 0.0));",
            "}",
        ]
    )


@settings(
    max_examples=N_PROGRAMS,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_programs_leave_the_drivers_bits(same, seed):
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    x = numbers.integers(0, 2**32, 4 * LANES, dtype=np.uint32)
    x[::3] &= 15
    f = (numbers.integers(-64, 64, 2 * LANES) / 8).astype(np.float32)
    same(write_program(rng), (2,), {0: np.zeros(16 * LANES, np.uint32), 1: x, 2: f})
