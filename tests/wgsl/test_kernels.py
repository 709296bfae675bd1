"""Whole kernels: numbers as NumPy and the driver give them, and not one finding."""

from __future__ import annotations

import numpy as np
import pytest

RNG = np.random.default_rng(2)


def u32(n: int) -> np.ndarray:
    return RNG.integers(0, 2**32, n, dtype=np.uint32)


def f32(n: int) -> np.ndarray:
    return RNG.standard_normal(n, dtype=np.float32)


# Name: source, workgroups, buffers, how to compare (dtype of the bits, or of floats with a relative tolerance).
KERNELS = {
    "hist": (
        """
struct P { n: u32, n_bins: u32 }
@group(0) @binding(0) var<uniform> p: P;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> bins: array<atomic<u32>>;
var<workgroup> local_bins: array<atomic<u32>, 16>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32) {
 if l < 16u { atomicStore(&local_bins[l], 0u); }
 workgroupBarrier();
 if id.x < p.n { atomicAdd(&local_bins[x[id.x] % p.n_bins], 1u); }
 workgroupBarrier();
 if l < p.n_bins { atomicAdd(&bins[l], atomicLoad(&local_bins[l])); }
}
""",
        (5,),
        {0: np.array([300, 16], np.uint32), 1: u32(300), 2: np.zeros(16, np.uint32)},
        np.uint32,
        0.0,
    ),
    "atomics": (
        """
@group(0) @binding(0) var<storage, read_write> a: array<atomic<i32>, 8>;
@group(0) @binding(1) var<storage, read> x: array<i32>;
@group(0) @binding(2) var<storage, read_write> c: atomic<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
 let v = x[id.x];
 atomicAdd(&a[0], v); atomicSub(&a[1], v); atomicMax(&a[2], v); atomicMin(&a[3], v); atomicAnd(&a[4], v); atomicOr(&a[5], v); atomicXor(&a[6], v);
 loop { let old = atomicLoad(&c); let r = atomicCompareExchangeWeak(&c, old, old + u32(v & 7)); if r.exchanged { break; } }
}
""",
        (3,),
        {0: np.zeros(8, np.int32), 1: u32(192).view(np.int32), 2: np.zeros(1, np.uint32)},
        np.uint32,
        0.0,
    ),
    "structs": (
        """
struct In { a: f32, b: vec3f, m: mat3x3f, c: array<vec2u, 3>, d: u32 }
struct Out { n: u32, items: array<In> }
@group(0) @binding(0) var<storage, read_write> o: Out;
@group(0) @binding(1) var<storage, read> x: array<In>;
struct UU { v: vec3f, s: f32, k: array<vec4u, 2>, w: vec2f }
@group(0) @binding(2) var<uniform> uu: UU;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {
 let i = id.x;
 if i == 0 { o.n = arrayLength(&o.items); }
 var t = x[i];
 t.a += uu.s; t.b = t.m * t.b + uu.v; t.m[1] = t.b; t.c[i % 3u].y = 77u + uu.k[i % 2u].z;
 o.items[i] = t;
 o.items[i].d = o.items[i].c[1].x + 1u;
 o.items[i].m[i % 3u][i % 2u] = 3.0;
}
""",
        (1,),
        {0: np.zeros(4 + 4 * 28, np.uint32), 1: f32(4 * 28), 2: f32(16)},
        np.float32,
        1e-5,
    ),
    "f16": (
        """
enable f16;
@group(0) @binding(0) var<storage, read_write> o: array<f16>;
@group(0) @binding(1) var<storage, read> x: array<vec2<f16>>;
struct M { a: f16, b: f32, c: vec4h }
@group(0) @binding(2) var<storage, read_write> m: array<M>;
var<workgroup> w: array<f16, 32>;
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3u) {
 let v = x[id.x]; var q = v.x * v.y + 1.0h; q += f16(f32(id.x) * 0.1);
 w[id.x] = q; workgroupBarrier();
 o[id.x] = w[31u - id.x] * 2.0h;
 m[id.x].a = f16(id.x); m[id.x].b = f32(v.x) * 3.0; m[id.x].c = vec4h(v, v * v);
}
""",
        (1,),
        {0: np.zeros(32, np.float16), 1: f32(64).astype(np.float16), 2: np.zeros(32 * 8, np.float16)},
        np.float16,
        2e-3,
    ),
    "wul": (
        """
@group(0) @binding(0) var<storage, read_write> o: array<u32>;
var<workgroup> w: array<u32, 64>; var<workgroup> s: u32;
@compute @workgroup_size(8, 4, 2) fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) g: vec3u, @builtin(num_workgroups) n: vec3u, @builtin(local_invocation_id) li: vec3u, @builtin(global_invocation_id) gi: vec3u) {
 if l == 5u { s = g.x * 3u + g.y + 2u; }
 let v = workgroupUniformLoad(&s);
 for (var i = 0u; i < v; i++) { w[l] = i * l; workgroupBarrier(); }
 let gg = gi + g * 2u;
 o[(g.y * n.x + g.x) * 64u + l] = w[63u - l] + li.z * 1000u + gg.x + gg.y * 7u;
}
""",
        (
            3,
            2,
        ),
        {0: np.zeros(64 * 6, np.uint32)},
        np.uint32,
        0.0,
    ),
    "scan": (
        """
@group(0) @binding(0) var<storage, read_write> o: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
var<workgroup> t: array<f32, 128>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_id) lid: vec3u, @builtin(workgroup_id) g: vec3u) {
 let l = lid.x; var src = 0u;
 t[l] = x[g.x * 64 + l]; workgroupBarrier();
 for (var s = 1u; s < 64u; s <<= 1u) { let d = 64u - src; var v = t[src + l]; if l >= s { v += t[src + l - s]; } t[d + l] = v; src = d; workgroupBarrier(); }
 o[g.x * 64 + l] = t[src + l];
}
""",
        (3,),
        {0: np.zeros(192, np.float32), 1: f32(192)},
        np.float32,
        0.0,
    ),
    "vec4": (
        """
@group(0) @binding(0) var<storage, read_write> o: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> y: array<vec3f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
 if (id.x >= arrayLength(&o)) { return; }
 o[id.x] = x[id.x] * 2.0 + vec4f(y[id.x % arrayLength(&y)], x[id.x].w);
 o[id.x].z *= 0.5;
}
""",
        (2,),
        {0: np.zeros(400, np.float32), 1: f32(400), 2: f32(40)},
        np.float32,
        0.0,
    ),
    "regtile": (
        """
@group(0) @binding(0) var<storage, read_write> o: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) {
 var acc: array<array<f32, 4>, 4>;
 for (var k = 0u; k < 16u; k++) { var av: array<f32, 4>; var bv = vec4f();
  for (var i = 0u; i < 4u; i++) { av[i] = x[(id.x * 4u + i) * 16u + k]; bv[i] = x[k * 4u + i]; }
  for (var i = 0u; i < 4u; i++) { for (var j = 0u; j < 4u; j++) { acc[i][j] += av[i] * bv[j]; } } }
 for (var i = 0u; i < 4u; i++) { for (var j = 0u; j < 4u; j++) { o[(id.x * 4u + i) * 4u + j] = acc[i][j]; } }
}
""",
        (2,),
        {0: np.zeros(256, np.float32), 1: f32(1024)},
        np.float32,
        0.0,
    ),
    "math": (
        """
@group(0) @binding(0) var<storage, read_write> o: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
 let a = x[id.x]; let b = abs(a); let i = id.x * 26u;
 o[i] = exp(a); o[i+1] = log(b); o[i+2] = tanh(a); o[i+3] = inverseSqrt(b); o[i+4] = sqrt(b); o[i+5] = pow(b, 1.5); o[i+6] = sin(a); o[i+7]=cos(a); o[i+8]=tan(a*0.3);
 o[i+9] = atan2(a, 2.0); o[i+10]=exp2(a); o[i+11]=log2(b); o[i+12]=fma(a,b,1.0); o[i+13]=mix(a,b,0.25); o[i+14]=smoothstep(-1.0,1.0,a); o[i+15]=step(0.1,a); o[i+16]=fract(a); o[i+17]=sinh(a); o[i+18]=asinh(a);
 o[i+19]=length(vec3f(a,b,1)); o[i+20]=distance(vec2f(a,b),vec2f(1)); o[i+21]=normalize(vec3f(a,2,3)).y; o[i+22]=cross(vec3f(a,b,1),vec3f(1,2,a)).x; o[i+23]=reflect(vec2f(a,b),normalize(vec2f(1,2))).x; o[i+24]=determinant(mat2x2f(a,b,1,2)); o[i+25]=degrees(a)+radians(b)+saturate(a)+sign(a)+a%0.7;
}
""",
        (1,),
        {0: np.zeros(64 * 26, np.float32), 1: f32(64)},
        np.float32,
        2e-5,
    ),
    "structin": (
        """
struct I { @builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_index) l: u32 }
@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@compute @workgroup_size(64) fn main(in: I) { o[in.gid.x] = in.l * 2u + in.gid.y; }
""",
        (2,),
        {0: np.zeros(128, np.uint32)},
        np.uint32,
        0.0,
    ),
    "funcs": (
        """
@group(0) @binding(0) var<storage, read_write> o: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
var<workgroup> w: array<f32, 64>;
fn reduce(l: u32) -> f32 { for (var s = 32u; s > 0; s /= 2) { workgroupBarrier(); if l < s { w[l] += w[l + s]; } } workgroupBarrier(); let r = w[0]; workgroupBarrier(); return r; }
fn at(i: u32, p: ptr<function, vec2f>) -> f32 { if (i >= 100u) { return 0.0; } (*p).x = 1.0; return x[i]; }
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) g: vec3u, @builtin(local_invocation_id) l: vec3u) {
 var p = vec2f(2.0, 3.0);
 let v = at(g.x * 64 + l.x, &p); w[l.x] = v; let sum = reduce(l.x); w[l.x] = v * v; let sq = reduce(l.x);
 o[g.x * 64 + l.x] = sum + sq * p.x;
}
""",
        (2,),
        {0: np.zeros(128, np.float32), 1: f32(100)},
        np.float32,
        0.0,
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_gives_the_drivers_numbers(name, same, device):
    source, workgroups, buffers, dtype, rtol = KERNELS[name]
    if "enable f16" in source and not device.has_f16:
        pytest.skip("this driver has no f16")
    same(source, workgroups, buffers, dtype, rtol)


HEAD = """
struct Params { n: u32, m: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
var<workgroup> part: array<f32, 64>;
fn tree(l: u32, value: f32, use_max: bool) -> f32 {
  part[l] = value;
  workgroupBarrier();
  for (var s = 32u; s > 0u; s >>= 1u) {
    if l < s { part[l] = select(part[l] + part[l + s], max(part[l], part[l + s]), use_max); }
    workgroupBarrier();
  }
  let result = part[0];
  workgroupBarrier();
  return result;
}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) g: vec3u, @builtin(local_invocation_id) id: vec3u, @builtin(global_invocation_id) at: vec3u) {
  let l = id.x;
"""


def _rows(run, body, n, m, workgroups, size):
    x = RNG.standard_normal((n, m), dtype=np.float32)
    result = run(
        HEAD + body + "}",
        workgroups,
        b0=np.array([n, m], np.uint32),
        b1=x,
        b2=np.full(size, np.nan, np.float32),
    )
    assert result.findings == []
    return x, result.buffers[2].view(np.float32)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 64), (5, 65), (7, 201)])
def test_softmax_rows_match_numpy(run, n, m):
    body = """
      var high = -3.4e38;
      for (var c = l; c < params.m; c += 64u) { high = max(high, x[g.x * params.m + c]); }
      high = tree(l, high, true);
      var sum = 0.0;
      for (var c = l; c < params.m; c += 64u) { sum += exp(x[g.x * params.m + c] - high); }
      sum = tree(l, sum, false);
      for (var c = l; c < params.m; c += 64u) { out[g.x * params.m + c] = exp(x[g.x * params.m + c] - high) / sum; }
    """
    x, out = _rows(run, body, n, m, (n,), n * m)
    want = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(out.reshape(n, m), want / want.sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (8, 8), (9, 33)])
def test_a_guarded_transpose_matches_numpy(run, n, m):
    body = """
      if at.x >= params.n * params.m { return; }
      let r = at.x / params.m;
      let c = at.x % params.m;
      out[c * params.n + r] = x[at.x];
    """
    x, out = _rows(run, body, n, m, (n * m // 64 + 2,), n * m)
    np.testing.assert_array_equal(out.reshape(m, n), x.T)


def test_a_large_dispatch_runs_in_several_batches(run):
    source = """
      @group(0) @binding(0) var<storage, read_write> out: array<u32>;
      @compute @workgroup_size(16, 4) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
        out[id.y * n.x * 16u + id.x] = id.x * 7u + id.y;
      }
    """
    result = run(source, (40, 30), b0=np.zeros(40 * 16 * 30 * 4, np.uint32))
    y, x = np.divmod(np.arange(40 * 16 * 30 * 4, dtype=np.uint32), 640)
    assert result.findings == []
    np.testing.assert_array_equal(result.buffers[0].view(np.uint32), x * 7 + y)
    assert result.written[0].all()


def test_a_result_that_depends_on_the_order_of_atomics_is_noted(run):
    source = """
      @group(0) @binding(0) var<storage, read_write> out: array<u32>;
      @group(0) @binding(1) var<storage, read_write> next: atomic<u32>;
      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
        let slot = atomicAdd(&next, 1u);
        out[slot] = ORDER;
      }
    """
    buffers = {"b0": np.zeros(128, np.uint32), "b1": np.zeros(1, np.uint32)}
    assert run(source.replace("ORDER", "7u"), (2,), **buffers).findings == []
    (finding,) = run(source.replace("ORDER", "id.x"), (2,), **buffers).findings
    assert (finding.kind, finding.hard, finding.line) == ("atomic-order", False, 5)


HISTOGRAM = """
  @group(0) @binding(0) var<storage, read> token: array<u32>;
  @group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>, 4>;
  @compute @workgroup_size(8)
  fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) k: u32) {
    if (WHO && k < 4u) { atomicStore(&counts[k], 0u); }
    storageBarrier();
    atomicAdd(&counts[token[id.x]], 1u);
  }
"""


@pytest.mark.parametrize(
    ("who", "found"), [("id.x < 8u", ["overwritten"]), ("true", ["overwritten"]), ("false", [])]
)
def test_a_buffer_cleared_by_one_workgroup_while_others_add_is_found(run, who, found):
    buffers = {"b0": np.arange(24, dtype=np.uint32) % 4, "b1": np.zeros(4, np.uint32)}
    result = run(HISTOGRAM.replace("WHO", who), (3,), **buffers)
    assert [finding.kind for finding in result.findings] == found
    assert all(finding.hard and finding.line == 6 for finding in result.findings)


def test_one_workgroup_may_clear_what_it_adds_to(run):
    buffers = {"b0": np.arange(8, dtype=np.uint32) % 4, "b1": np.full(4, 9, np.uint32)}
    result = run(HISTOGRAM.replace("WHO", "true"), (1,), **buffers)
    assert result.findings == []
    np.testing.assert_array_equal(result.buffers[1].view(np.uint32), 2)


def test_generated_names_never_hide_a_type(run):
    loops = "".join(
        f"for (var k = 0u; k < 3u; k++) {{ if k == 1u {{ continue; }} sum += part{n}(i32(k)); }}\n"
        for n in range(40)
    )
    functions = "".join(
        f"fn part{n}(v: i32) -> i32 {{ return i32(f32(v) * 1.5) + {n}; }}\n" for n in range(40)
    )
    source = f"""
      @group(0) @binding(0) var<storage, read_write> out: array<i32>;
      {functions}
      @compute @workgroup_size(1) fn main() {{ var sum = 0; {loops} out[0] = sum; }}
    """
    assert run(source, b0=np.zeros(1, np.int32)).buffers[0].view(np.int32)[0] == sum(
        2 * n + 3 for n in range(40)
    )
