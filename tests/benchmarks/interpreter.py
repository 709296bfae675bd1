"""Speed and verdicts beside wgsl_reflect's detectRaces: `python tests/benchmarks/interpreter.py [NODE_MODULES]`.

Without a folder that holds wgsl_reflect, it is installed by npm into a temporary one. Times belong to the
machine, ratios travel better; nothing is asserted. Where the two disagree on a kernel, the reason is printed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradschool.wgsl import compile_wgsl

RUNNER = """
import { detectRaces } from "./node_modules/wgsl_reflect/wgsl_reflect.module.js";
import { readFileSync } from "node:fs";
const quiet = () => {};
console.log = console.error = console.warn = quiet;
const answers = JSON.parse(readFileSync(0, "utf8")).map((job) => {
  const bind = () => Object.fromEntries(job.buffers.map(([index, kind, words]) => {
    const data = new Uint32Array(words);
    return [index, kind === "uniform" ? { uniform: data } : data];
  }));
  let best = Infinity, result = null;
  try {
    for (let k = 0; k < job.repeats; k++) {
      const begin = performance.now();
      result = detectRaces(job.source, "main", job.workgroups, { 0: bind() });
      best = Math.min(best, performance.now() - begin);
    }
    return { ms: best, races: result.races.length, errors: result.errors };
  } catch (error) {
    return { ms: best, races: -1, errors: [String(error)] };
  }
});
process.stdout.write(JSON.stringify(answers));
"""

TILED = """
struct Params { m: u32, k: u32, n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
const TILE = 8u;
var<workgroup> left: array<f32, 64>;
var<workgroup> right: array<f32, 64>;
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) g: vec3u, @builtin(local_invocation_id) l: vec3u) {
  var sum = 0.0;
  for (var t = 0u; t < (params.k + TILE - 1u) / TILE; t++) {
    let col = t * TILE + l.x;
    let row = t * TILE + l.y;
    var p = 0.0;
    if (g.y < params.m && col < params.k) { p = a[g.y * params.k + col]; }
    var q = 0.0;
    if (row < params.k && g.x < params.n) { q = b[row * params.n + g.x]; }
    left[l.y * TILE + l.x] = p;
    right[l.y * TILE + l.x] = q;
    workgroupBarrier();
    for (var i = 0u; i < TILE; i++) { sum += left[l.y * TILE + i] * right[i * TILE + l.x]; }
    workgroupBarrier(); // second
  }
  if (g.y < params.m && g.x < params.n) { out[g.y * params.n + g.x] = sum; }
}
"""

HEAD = """
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
var<workgroup> w: array<u32, 64>;
var<workgroup> count: atomic<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32, @builtin(workgroup_id) g: vec3u) {
  let i = id.x;
"""
TREE = """w[l] = x[i]; workgroupBarrier();
  for (var s = 32u; s > 0u; s = s / 2u) { if (l < s) { w[l] = w[l] + w[l + s]; } workgroupBarrier(); }
  if (l == 0u) { out[g.x] = w[0]; }"""


@dataclass(frozen=True)
class Case:
    """A kernel, whether it has a race, and why the other tool may say otherwise."""

    name: str
    body: str
    racy: bool
    argument: str = ""


CASES = [
    Case("each owns its element", "out[i] = x[i];", False),
    Case("tree reduction", TREE, False),
    Case("tree without the barrier in its loop", TREE.replace(" workgroupBarrier(); }", " }"), True),
    Case("tree without the first barrier", TREE.replace("; workgroupBarrier();\n", ";\n", 1), True),
    Case("neighbour without a barrier", "w[l] = x[i]; out[i] = w[63u - l];", True),
    Case("neighbour behind a barrier", "w[l] = x[i]; workgroupBarrier(); out[i] = w[63u - l];", False),
    Case(
        "a storageBarrier for workgroup memory",
        "w[l] = x[i]; storageBarrier(); out[i] = w[63u - l];",
        True,
        "storageBarrier orders storage only: WGSL gives workgroup memory no order here.",
    ),
    Case(
        "a workgroupBarrier for storage",
        "out[i] = x[i]; workgroupBarrier(); let v = out[g.x * 64u + 63u - l]; storageBarrier(); out[i] = v;",
        True,
        "workgroupBarrier orders workgroup memory only: the loads of `out` may come before the stores.",
    ),
    Case("counting without atomics", "out[x[i] % 4u] = out[x[i] % 4u] + 1u;", True),
    Case(
        "counting with an atomic",
        "atomicAdd(&count, 1u); workgroupBarrier(); out[i] = atomicLoad(&count);",
        False,
    ),
    Case(
        "two workgroups write one word",
        "if (l == 0u) { out[0] = i; }",
        True,
        "only invocations of one workgroup are compared there; nothing orders two workgroups.",
    ),
    Case(
        "all write the same value",
        "out[0] = 7u;",
        False,
        "stores of one value that nobody loads leave the same result on every device; WGSL calls it a race, "
        "and we tolerate it because learners may meet it in correct reductions.",
    ),
    Case("read and write of one word", "if (l == 1u) { w[0] = 5u; } out[i] = w[0] * 0u;", True),
    Case("an in-place shift", "let v = out[g.x * 64u + (l + 1u) % 64u]; out[i] = v;", True),
]


def words(array: np.ndarray) -> list[int]:
    """An array as 32-bit words."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint32).tolist()


def jobs() -> list[dict]:
    """The two timed kernels, then the cases."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=33 * 33).astype(np.float32) for _ in range(2))
    sizes = np.array([33, 33, 33, 0], np.uint32)
    out = np.zeros(33 * 33, np.float32)
    matmul = [
        [0, "uniform", words(sizes)],
        [1, "read", words(a)],
        [2, "read", words(b)],
        [3, "rw", words(out)],
    ]
    x = rng.integers(0, 2**20, 256, dtype=np.uint32)
    line = [[0, "rw", [0] * 256], [1, "read", words(x)]]
    racy = TILED.replace("    workgroupBarrier(); // second\n", "")
    made = [
        {"source": TILED, "workgroups": [5, 5, 1], "buffers": matmul, "repeats": 2},
        {"source": racy, "workgroups": [5, 5, 1], "buffers": matmul, "repeats": 1},
        {"source": HEAD + TREE + "}", "workgroups": [4, 1, 1], "buffers": line, "repeats": 5},
    ]
    return made + [
        {"source": HEAD + case.body + "}", "workgroups": [4, 1, 1], "buffers": line, "repeats": 1}
        for case in CASES
    ]


def ours(job: dict, repeats: int = 15) -> tuple[float, int]:
    """Milliseconds of compiling and running with detection, and the number of races."""
    buffers = {index: np.array(data, np.uint32) for index, _, data in job["buffers"]}
    best, races = float("inf"), 0
    for _ in range(repeats):
        begin = time.perf_counter()
        result = compile_wgsl(job["source"]).run(workgroups=tuple(job["workgroups"]), buffers=buffers)
        best = min(best, 1e3 * (time.perf_counter() - begin))
        races = sum(finding.kind == "race" for finding in result.findings)
    return best, races


def warm(job: dict, repeats: int = 15) -> float:
    """Milliseconds of a run of a module that is compiled already, as graders do it."""
    buffers = {index: np.array(data, np.uint32) for index, _, data in job["buffers"]}
    module, best = compile_wgsl(job["source"]), float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        module.run(workgroups=tuple(job["workgroups"]), buffers=buffers)
        best = min(best, 1e3 * (time.perf_counter() - begin))
    return best


def theirs(folder: Path, made: list[dict]) -> list[dict]:
    """What detectRaces says of each job."""
    (folder / "run.mjs").write_text(RUNNER, encoding="utf-8")
    done = subprocess.run(
        ["node", "run.mjs"], cwd=folder, input=json.dumps(made), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def compare(made: list[dict], answers: list[dict]) -> None:
    """Print times, ratios and verdicts."""
    names = ["tiled matmul 33 x 33 x 33", "the same without its second barrier", "tree reduction, 4 x 64"]
    print(f"{'':38}{'detectRaces':>12}{'ours':>10}{'ratio':>8}{'compiled':>10}{'ratio':>8}")
    for name, job, answer in zip(names, made, answers, strict=False):
        (cold, _), hot = ours(job), warm(job)
        there = answer["ms"]
        print(f"{name:38}{there:9.1f} ms{cold:7.1f} ms{there / cold:8.1f}{hot:7.1f} ms{there / hot:8.1f}")
    agreed = 0
    print(f"\n{'kernel':42}{'expected':>9}{'ours':>8}{'theirs':>8}")
    for case, job, answer in zip(CASES, made[3:], answers[3:], strict=True):
        mine = ours(job, 1)[1] > 0
        other = answer["races"] > 0
        failed = answer["races"] < 0 or bool(answer["errors"])
        said = "error" if failed else _word(other)
        agreed += mine == other and not failed
        print(f"{case.name:42}{_word(case.racy):>9}{_word(mine):>8}{said:>8}")
        if mine != other or failed:
            print(f"    {case.argument or 'no argument: ' + '; '.join(answer['errors'])}")
    print(f"\n{agreed} of {len(CASES)} verdicts agree")


def _word(racy: bool) -> str:
    return "race" if racy else "clean"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if len(sys.argv) > 1:
            shutil.copytree(Path(sys.argv[1]) / "wgsl_reflect", folder / "node_modules" / "wgsl_reflect")
        else:
            npm = ["npm", "install", "--no-audit", "--no-fund", "--silent", "wgsl_reflect@1.6"]
            subprocess.run(npm, cwd=folder, check=True)
        made = jobs()
        compare(made, theirs(folder, made))


if __name__ == "__main__":
    main()
