"""Types of the built-in functions.

A signature is `(class of T, parameters, result)`. In the lists `T` is one type shared by all places, `E` its
component, `U`, `I` and `B` its shape with u32, i32 and bool; other words name types.
"""

from __future__ import annotations

from gradschool.wgsl import subgroups
from gradschool.wgsl.types import (
    BOOL,
    F16,
    F32,
    I32,
    U32,
    Field,
    Mat,
    Scalar,
    Struct,
    Type,
    Vec,
    scalar_of,
    with_scalar,
)

Signature = tuple[str, str, str]

_FLOAT_1 = """acos acosh asin asinh atan atanh ceil cos cosh degrees exp exp2 floor fract inverseSqrt log log2 radians
round saturate sin sinh sqrt tan tanh trunc"""

BUILTINS: dict[str, list[Signature]] = {}


def _add(names: str, *signatures: Signature) -> None:
    for name in names.split():
        BUILTINS[name] = list(signatures)


_add(_FLOAT_1, ("float", "T", "T"))
_add("atan2 pow step", ("float", "T T", "T"))
_add("fma smoothstep", ("float", "T T T", "T"))
_add("abs", ("number", "T", "T"))
_add("sign", ("signed", "T", "T"))
_add("min max", ("number", "T T", "T"))
_add("clamp", ("number", "T T T", "T"))
_add("mix", ("float", "T T T", "T"), ("floatvec", "T T E", "T"))
_add("length", ("float", "T", "E"))
_add("distance", ("float", "T T", "E"))
_add("normalize", ("floatvec", "T", "T"))
_add("dot", ("numbervec", "T T", "E"))
_add("cross", ("floatvec3", "T T", "T"))
_add("faceForward", ("floatvec", "T T T", "T"))
_add("reflect", ("floatvec", "T T", "T"))
_add("refract", ("floatvec", "T T E", "T"))
_add("modf", ("float", "T", "modf"))
_add("frexp", ("float", "T", "frexp"))
_add("ldexp", ("float", "T I", "T"))
_add("quantizeToF16", ("float", "T", "T"))
_add(
    "countOneBits countLeadingZeros countTrailingZeros firstLeadingBit firstTrailingBit reverseBits",
    ("integer", "T", "T"),
)
_add("extractBits", ("integer", "T u32 u32", "T"))
_add("insertBits", ("integer", "T T u32 u32", "T"))
_add("all any", ("bool", "T", "bool"))
_add("select", ("any", "T T bool", "T"), ("anyvec", "T T B", "T"))
_add("transpose", ("matrix", "T", "transposed"))
_add("determinant", ("square", "T", "E"))
_add("dot4I8Packed", ("", "u32 u32", "i32"))
_add("dot4U8Packed", ("", "u32 u32", "u32"))
_add("pack4x8snorm pack4x8unorm", ("", "vec4f", "u32"))
_add("pack2x16snorm pack2x16unorm pack2x16float", ("", "vec2f", "u32"))
_add("pack4xI8 pack4xI8Clamp", ("", "vec4i", "u32"))
_add("pack4xU8 pack4xU8Clamp", ("", "vec4u", "u32"))
_add("unpack4x8snorm unpack4x8unorm", ("", "u32", "vec4f"))
_add("unpack2x16snorm unpack2x16unorm unpack2x16float", ("", "u32", "vec2f"))
_add("unpack4xI8", ("", "u32", "vec4i"))
_add("unpack4xU8", ("", "u32", "vec4u"))

ATOMICS = {
    "atomicLoad": 0,
    "atomicStore": 1,
    "atomicAdd": 1,
    "atomicSub": 1,
    "atomicMax": 1,
    "atomicMin": 1,
    "atomicAnd": 1,
    "atomicOr": 1,
    "atomicXor": 1,
    "atomicExchange": 1,
    "atomicCompareExchangeWeak": 2,
}
BARRIERS = frozenset(["workgroupBarrier", "storageBarrier", "textureBarrier"])
SPECIAL = frozenset(
    [*ATOMICS, *BARRIERS, *subgroups.OPERATIONS, "arrayLength", "workgroupUniformLoad", "bitcast"]
)

NAMED = {
    "u32": U32,
    "i32": I32,
    "bool": BOOL,
    **{
        f"vec{n}{s}": Vec(n, t)
        for n in (2, 3, 4)
        for s, t in (("f", F32), ("i", I32), ("u", U32), ("h", F16))
    },
}

_CLASSES = {
    "float": ("f32", "f16", "afloat"),
    "number": ("f32", "f16", "afloat", "i32", "u32", "aint"),
    "signed": ("f32", "f16", "afloat", "i32", "aint"),
    "integer": ("i32", "u32"),
    "bool": ("bool",),
    "any": ("f32", "f16", "afloat", "i32", "u32", "aint", "bool"),
}


def class_allows(kind: str, ty: Type) -> bool:
    """Whether T may be this type."""
    el = scalar_of(ty)
    if el is None:
        return False
    if kind in ("matrix", "square"):
        return isinstance(ty, Mat) and (kind == "matrix" or ty.cols == ty.rows)
    if isinstance(ty, Mat):
        return False
    for name, members in _CLASSES.items():
        if kind.startswith(name):
            rest = kind.removeprefix(name)
            if rest not in ("", "vec", "vec3"):
                continue
            if rest == "vec" and not isinstance(ty, Vec):
                return False
            if rest == "vec3" and not (isinstance(ty, Vec) and ty.n == 3):
                return False
            return el.name in members
    return False


def place_type(word: str, t: Type | None) -> Type:
    """The type a word of a signature stands for, given T."""
    if word in NAMED:
        return NAMED[word]
    assert t is not None
    el = scalar_of(t)
    assert el is not None
    match word:
        case "T":
            return t
        case "E":
            return el
        case "U":
            return with_scalar(t, U32)
        case "I":
            return with_scalar(t, I32)
        case "B":
            return with_scalar(t, BOOL)
        case "transposed":
            assert isinstance(t, Mat)
            return Mat(t.rows, t.cols, t.el)
        case "modf":
            return result_struct("__modf_result", ("fract", t), ("whole", t))
        case "frexp":
            return result_struct("__frexp_result", ("fract", t), ("exp", with_scalar(t, I32)))
    raise AssertionError(word)


_RESULTS: dict[tuple, Struct] = {}


def result_struct(name: str, *members: tuple[str, Type]) -> Struct:
    """The struct type that a built-in function returns; one object per set of members."""
    key = (name, members)
    if key not in _RESULTS:
        _RESULTS[key] = Struct(name, [Field(n, t, 16 * k, 4) for k, (n, t) in enumerate(members)], 32, 16)
    return _RESULTS[key]


def cas_result(el: Scalar) -> Struct:
    """What atomicCompareExchangeWeak returns."""
    return result_struct("__atomic_compare_exchange_result", ("old_value", el), ("exchanged", BOOL))
