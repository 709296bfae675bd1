"""The language, feature by feature: the interpreter leaves the same bits as the driver does."""

from __future__ import annotations

import numpy as np
import pytest

HEAD = """
@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> f: array<f32>;
alias Num = u32;
override scale: u32 = 4u;
const PI = 3.14159265;
const BIG = 1 << 20u;
const tab = array<u32, 4>(10u, 20u, 30u, 40u);
struct S { n: Num, v: vec2f, c: array<u32, 2>, }
const_assert BIG > 5;
var<private> seed: u32 = 7u;
var<private> cnt: u32;
fn rnd() -> u32 { seed = seed * 747796405u + 2891336453u; cnt++; let w = ((seed >> ((seed >> 28u) + 4u)) ^ seed) * 277803737u; return (w >> 22u) ^ w; }
fn fact(n: u32) -> u32 { var r = 1u; for (var i = 2u; i <= n; i++) { r *= i; } return r; }
fn gcd(a: u32, b: u32) -> u32 { var x = a; var y = b; while y != 0u { let t = x % y; x = y; y = t; } return x; }
fn bump(p: ptr<function, u32>, v: u32) { *p = *p + v; if v > 100u { return; } *p += 1u; }
fn inc(p: ptr<function, u32>) { *p += 1u; }
fn setv(p: ptr<function, vec2u>) { (*p).y = 11u; }
fn suma(p: ptr<function, array<u32, 4>>) -> u32 { var s = 0u; for (var i = 0; i < 4; i++) { s += (*p)[i]; } return s; }
fn early(s: i32) -> u32 { if s < 0 { return 1u; } for (var i = 0; i < 10; i++) { if (s & 15) == i { return u32(i) + 100u; } } return 5u; }
fn mk(a: u32) -> S { var s: S; s.n = a; s.v = vec2f(f32(a % 10u), 1.0); return s; }
fn array_like(a: u32) -> u32 { return a + scale; }
@compute @workgroup_size(32) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let a = x[i];
  let b = x[i + 64u];
  let s = bitcast<i32>(a);
  let t = bitcast<i32>(b);
  let p = f[i];
  let q = f[i + 64u];
"""

CASES = {
    "uarith": """
        o[i]=a+b;
        o[i+64u]=a*b-b;
        o[i+128u]=a/b;
        o[i+192u]=a%b;
    """,
    "iarith": """
        o[i]=u32(s+t);
        o[i+64u]=u32(s*t);
        o[i+128u]=u32(s/t);
        o[i+192u]=u32(s%t);
    """,
    "shift": """
        o[i]=a<<(b & 31u);
        o[i+64u]=u32(s>>(b & 31u));
        o[i+128u]=a>>(b&31u);
        o[i+192u]=(~a ^ b) | (a & b);
    """,
    "bits": """
        o[i]=countOneBits(a);
        o[i+64u]=countLeadingZeros(a);
        o[i+128u]=countTrailingZeros(a);
        o[i+192u]=reverseBits(a);
    """,
    "bits2": """
        o[i]=firstLeadingBit(a);
        o[i+64u]=u32(firstLeadingBit(s));
        o[i+128u]=firstTrailingBit(a);
        o[i+192u]=u32(countLeadingZeros(s));
    """,
    "extract": """
        o[i]=extractBits(a, b%40u, (b>>8u)%40u);
        o[i+64u]=u32(extractBits(s, b%40u, (b>>8u)%40u));
        o[i+128u]=insertBits(a,b,a%40u,(a>>8u)%40u);
        o[i+192u]=u32(insertBits(s,t,a%40u,(a>>8u)%40u));
    """,
    "minmax": """
        o[i]=min(a,b);
        o[i+64u]=u32(max(s,t));
        o[i+128u]=clamp(a,10u,1000u);
        o[i+192u]=u32(abs(s)*sign(t));
    """,
    "conv": """
        o[i]=u32(p);
        o[i+64u]=u32(i32(q));
        o[i+128u]=bitcast<u32>(f32(a));
        o[i+192u]=bitcast<u32>(f32(s));
    """,
    "conv2": """
        o[i]=u32(p*1e9);
        o[i+64u]=u32(i32(q*1e9));
        o[i+128u]=u32(bool(a));
        o[i+192u]=u32(f32(bool(b)));
    """,
    "vec": """
        let v=vec3u(a,b,a+b);
        let w=v.zyx*2u;
        o[i]=w.x;
        o[i+64u]=dot(v,w);
        o[i+128u]=select(v,w,v>w).y;
        o[i+192u]=u32(all(v==w))+u32(any(v<w))*2u;
    """,
    "vecdyn": """
        var v=vec4u(a,b,a+b,a*b);
        v[a%4u]=7u;
        v.y+=3u;
        o[i]=v[b%4u];
        o[i+64u]=v.x;
        o[i+128u]=v.w;
        o[i+192u]=v.y;
    """,
    "swz": """
        let v=vec4u(a,b,1u,2u);
        o[i]=v.wxyz.x;
        o[i+64u]=v.rg.y;
        o[i+128u]=vec4u(v.xy,v.zw).z;
        o[i+192u]=vec2u(v.xw)[1];
    """,
    "sw": """
        var r=0u;
        switch a%7u { case 0u,1u: { r=1u; } case 2u: { if b>100u { break; } r=2u; } default: { r=9u; } case 5u: { r=5u; } }
        o[i]=r;
    """,
    "loop": """
        var r=0u;
        var k=0u;
        loop { if k>=a%10u { break; } if (k&1u)==1u { k++; continue; } r+=k; continuing { k++; } }
        o[i]=r;
        o[i+64u]=k;
    """,
    "loop2": """
        var r=0u;
        var k=0u;
        loop { r+=k*k; continuing { k++; break if k>a%13u; } }
        o[i]=r;
    """,
    "nested": """
        var r=0u;
        for(var j=0u;j<a%6u;j++){ for(var k=0u;k<b%5u;k++){ if j==k {continue;} if k>3u {break;} r+=j*10u+k; } if r>50u {break;} }
        o[i]=r;
    """,
    "while": """
        var n=a%1000u;
        var c=0u;
        while n>1u { if n%2u==0u {n=n/2u;} else {n=3u*n+1u;} c++; if c>500u {break;} }
        o[i]=c;
    """,
    "fn": """
        o[i]=fact(a%8u);
        o[i+64u]=gcd(a%100u+1u,b%100u+1u);
        var z=5u;
        bump(&z,a);
        o[i+128u]=z;
        o[i+192u]=early(s);
    """,
    "arr": """
        var r: array<u32,5>;
        for(var k=0u;k<5u;k++){ r[k]=a*k; }
        r[b%5u]+=1u;
        let c=r;
        o[i]=c[a%5u];
        o[i+64u]=r[3];
        var g=array<array<u32,3>,2>(array<u32,3>(1u,2u,3u),array<u32,3>(4u,5u,6u));
        g[a%2u][b%3u]=9u;
        o[i+128u]=g[1][2]+g[0][0]*10u;
        o[i+192u]=tab[a%4u];
    """,
    "struct": """
        var st=S(a,vec2f(p,q),array<u32,2>(1u,2u));
        st.c[a%2u]+=b;
        st.v.y=2.0;
        let c2=st;
        o[i]=c2.c[0]+c2.c[1];
        o[i+64u]=bitcast<u32>(mk(a).v.x);
        o[i+128u]=bitcast<u32>(c2.v.y);
        o[i+192u]=c2.n;
    """,
    "priv": """
        seed=a;
        o[i]=rnd();
        o[i+64u]=rnd();
        o[i+128u]=rnd()^cnt;
    """,
    "ptr": """
        var r=array<u32,4>(1u,2u,3u,4u);
        let pp=&r[a%4u];
        *pp+=5u;
        o[i]=r[0]+r[1]*10u+r[2]*100u+r[3]*1000u;
        var vv=vec2u(a,b);
        setv(&vv);
        o[i+64u]=vv.y;
        o[i+128u]=suma(&r);
    """,
    "pack": """
        o[i]=pack4xU8(vec4u(a,b,1u,2u));
        o[i+64u]=pack2x16float(vec2f(p,q));
        o[i+128u]=pack4x8snorm(vec4f(p,q,0.5,-2.0));
        o[i+192u]=unpack4xU8(a).z;
    """,
    "pack2": """
        o[i]=pack2x16unorm(vec2f(p,q));
        o[i+64u]=pack4x8unorm(vec4f(p,q,0.31,0.22));
        o[i+128u]=bitcast<u32>(unpack2x16float(a & 0x7bff7bffu).y);
        o[i+192u]=bitcast<u32>(unpack4x8snorm(a).w);
    """,
    "dot4": """
        o[i]=dot4U8Packed(a,b);
        o[i+64u]=u32(dot4I8Packed(a,b));
        o[i+128u]=u32(unpack4xI8(a).y);
    """,
    "short": """
        o[i]=u32((a>5u) && (x[a%64u]>3u));
        o[i+64u]=u32(a<5u || x[b%64u]<77u);
        o[i+128u]=select(1u,2u,p<q);
    """,
    "const": """
        const N=3;
        const V=vec3f(1,2,3)*2;
        o[i]=u32(N*4)+u32(V.y);
        o[i+64u]=bitcast<u32>(f32(1/3.0));
        o[i+128u]=bitcast<u32>(PI*p);
        o[i+192u]=u32(BIG>>3u);
    """,
    "bvec": """
        let m=vec2<bool>(a>b,a<b);
        o[i]=u32(any(m))+2u*u32(all(!m));
        var bb=a>5u;
        bb=bb&&b>3u;
        o[i+64u]=u32(bb);
        var ab=array<bool,3>(true,false,a>9u);
        ab[a%3u]=!ab[b%3u];
        o[i+128u]=u32(ab[0])+u32(ab[1])*2u+u32(ab[2])*4u;
    """,
    "bc": """
        let v=bitcast<vec2f>(vec2u(a,b));
        o[i]=bitcast<u32>(v.y);
        o[i+64u]=bitcast<vec2u>(v).x;
    """,
    "floatx": """
        o[i]=bitcast<u32>(p+q);
        o[i+64u]=bitcast<u32>(p*q);
        o[i+128u]=bitcast<u32>(floor(p)+ceil(q)*round(p));
        o[i+192u]=bitcast<u32>(trunc(q)-abs(p));
    """,
    "vecsplat": """
        var v=vec3f(p);
        v*=2.0;
        v+=vec3f(q,1,2);
        v.z-=p;
        o[i]=bitcast<u32>(v.x);
        o[i+64u]=bitcast<u32>(v.z);
        var w=vec2i(s,t);
        w%=vec2i(7);
        o[i+128u]=u32(w.x);
        o[i+192u]=u32((w/2).y);
    """,
    "boolsel": """
        let v=select(vec2u(a,b),vec2u(1u,2u),vec2<bool>(p>0.0,q>0.0));
        o[i]=v.x;
        o[i+64u]=v.y;
        let q2=select(array_like(a),array_like(b),a>b);
        o[i+128u]=q2;
    """,
    "fm": """
        var m2=mat2x3f(p,q,1,2,3,4);
        m2[1]=vec3f(p);
        m2[0].y=9.0;
        m2[a%2u][b%3u]=5.0;
        o[i]=bitcast<u32>(m2[0][1]);
        o[i+64u]=bitcast<u32>(m2[a%2u].x);
        let tr=transpose(m2);
        o[i+128u]=bitcast<u32>(tr[2].y);
    """,
    "let": """
        let e=a;
        var g=e;
        g+=1u;
        { let e=g*2u; g=e; }
        o[i]=g+e;
        for(var e=0u;e<2u;e++){ g+=e; }
        o[i+64u]=g;
    """,
    "ifelse": """
        var r=0u;
        if a<100u {r=1u;} else if b<1000u {r=2u;} else if a>b {r=3u;} else {r=4u;}
        o[i]=r;
        if p>q { o[i+64u]=1u; } else { o[i+64u]=2u; }
    """,
    "len": """
        o[i]=arrayLength(&o)+arrayLength(&x);
    """,
    "frx": """
        let r=frexp(p);
        o[i]=bitcast<u32>(r.fract);
        o[i+64u]=u32(r.exp);
        let md=modf(q);
        o[i+128u]=bitcast<u32>(md.whole);
        o[i+192u]=bitcast<u32>(ldexp(p,3));
    """,
}


def _inputs() -> dict[int, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2**32, 128, dtype=np.uint32)
    x[:12] = [0, 1, 2, 31, 32, 33, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 7, 5, 3]
    x[64:70] = [0, 0, 3, 0xFFFFFFFF, 0xFFFFFFFF, 1]
    x[71] = 0xFFFFFFFF
    f = rng.standard_normal(128).astype(np.float32) * 4
    f[:6] = [0, 1, -1, 0.5, 2.5, -2.5]
    return {0: np.zeros(256, np.uint32), 1: x, 2: f}


@pytest.mark.parametrize("name", CASES)
def test_a_language_feature_gives_the_drivers_bits(name, same):
    same(HEAD + CASES[name] + "}", (2,), _inputs())
