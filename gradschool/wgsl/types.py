"""WGSL types and their memory layout."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


class Type:
    """Base of all types; `str()` is the WGSL spelling."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Scalar(Type):
    """`bool`, `i32`, `u32`, `f32`, `f16`, or an abstract number of a constant expression."""

    name: str

    def __str__(self) -> str:
        return {"aint": "abstract-int", "afloat": "abstract-float"}.get(self.name, self.name)


BOOL, I32, U32, F32, F16 = (
    Scalar("bool"),
    Scalar("i32"),
    Scalar("u32"),
    Scalar("f32"),
    Scalar("f16"),
)
AINT, AFLOAT = Scalar("aint"), Scalar("afloat")
SCALARS = {t.name: t for t in (BOOL, I32, U32, F32, F16)}

DTYPES = {
    "bool": np.bool_,
    "i32": np.int32,
    "u32": np.uint32,
    "f32": np.float32,
    "f16": np.float16,
    "aint": np.int64,
    "afloat": np.float64,
}


@dataclass(frozen=True, slots=True)
class Vec(Type):
    """`vecN<el>`."""

    n: int
    el: Scalar

    def __str__(self) -> str:
        return f"vec{self.n}<{self.el}>"


@dataclass(frozen=True, slots=True)
class Mat(Type):
    """`matCxR<el>`, column-major."""

    cols: int
    rows: int
    el: Scalar

    def __str__(self) -> str:
        return f"mat{self.cols}x{self.rows}<{self.el}>"


@dataclass(frozen=True, slots=True)
class Array(Type):
    """`array<el, count>`; a count of None is sized by the buffer."""

    el: Type
    count: int | None

    def __str__(self) -> str:
        return f"array<{self.el}>" if self.count is None else f"array<{self.el}, {self.count}>"


@dataclass(frozen=True, slots=True)
class Atomic(Type):
    """`atomic<el>`."""

    el: Scalar

    def __str__(self) -> str:
        return f"atomic<{self.el}>"


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a struct at a byte offset."""

    name: str
    type: Type
    offset: int
    size: int


@dataclass(eq=False, slots=True)
class Struct(Type):
    """A struct; two structs are the same type only if they are one declaration."""

    name: str
    fields: list[Field] = field(default_factory=list)
    size: int = 0
    align: int = 1
    parts: frozenset = frozenset()

    def __str__(self) -> str:
        return self.name

    def field(self, name: str) -> Field | None:
        """The member of this name, or None."""
        return next((f for f in self.fields if f.name == name), None)


@dataclass(frozen=True, slots=True)
class Ptr(Type):
    """`ptr<space, to, access>`; also the type of a reference inside the checker."""

    space: str
    to: Type
    access: str

    def __str__(self) -> str:
        return (
            f"ptr<{self.space}, {self.to}>"
            if self.space != "storage"
            else f"ptr<storage, {self.to}, {self.access}>"
        )


def align_of(ty: Type) -> int:
    """Alignment in bytes, as the specification's table says; bool takes 4."""
    if isinstance(ty, Scalar):
        return 2 if ty is F16 else 4
    if isinstance(ty, Vec):
        return (2 if ty.n == 2 else 4) * align_of(ty.el)
    if isinstance(ty, Mat):
        return align_of(Vec(ty.rows, ty.el))
    if isinstance(ty, (Array, Atomic)):
        return align_of(ty.el)
    if isinstance(ty, Struct):
        return ty.align
    raise TypeError(f"{ty} has no alignment")


def size_of(ty: Type) -> int:
    """Size in bytes; of a runtime-sized array, the size of one element."""
    if isinstance(ty, Scalar):
        return 2 if ty is F16 else 4
    if isinstance(ty, Vec):
        return ty.n * size_of(ty.el)
    if isinstance(ty, Mat):
        return ty.cols * stride_of(Vec(ty.rows, ty.el))
    if isinstance(ty, Array):
        return stride_of(ty.el) * (1 if ty.count is None else ty.count)
    if isinstance(ty, Atomic):
        return 4
    if isinstance(ty, Struct):
        return ty.size
    raise TypeError(f"{ty} has no size")


def stride_of(el: Type) -> int:
    """Distance in bytes between neighbours in an array of `el`."""
    return round_up(align_of(el), size_of(el))


def round_up(multiple: int, n: int) -> int:
    """The smallest multiple of `multiple` that is at least `n`."""
    return (n + multiple - 1) // multiple * multiple


def is_runtime_sized(ty: Type) -> bool:
    """Whether the buffer decides the size: a runtime array, or a struct that ends in one."""
    if isinstance(ty, Array):
        return ty.count is None
    return isinstance(ty, Struct) and bool(ty.fields) and is_runtime_sized(ty.fields[-1].type)


def contains(ty: Type, *kinds: type | Scalar) -> bool:
    """Whether a type is, or is built from, one of the given type classes or scalars."""
    found = parts_of(ty)
    return any(k in found for k in kinds)


def parts_of(ty: Type) -> frozenset:
    """Type classes and scalars that a type is built from; a struct remembers its own."""
    if isinstance(ty, Scalar):
        return frozenset([Scalar, ty])
    if isinstance(ty, (Vec, Mat, Array, Atomic)):
        extra = [type(ty)] if getattr(ty, "count", 0) is not None else [Array, "runtime"]
        return parts_of(ty.el) | frozenset(extra)
    if isinstance(ty, Struct):
        if not ty.parts:
            # Asked anew for every member, a tree of structs would cost the product of their sizes.
            ty.parts = frozenset([Struct]).union(*(parts_of(f.type) for f in ty.fields))
        return ty.parts
    return frozenset([type(ty)])


def scalar_of(ty: Type | None) -> Scalar | None:
    """The component type of a scalar, vector or matrix; None for others."""
    if isinstance(ty, Scalar):
        return ty
    return ty.el if isinstance(ty, (Vec, Mat)) else None


def with_scalar(ty: Type, el: Scalar) -> Type:
    """The same shape with another component type."""
    if isinstance(ty, Vec):
        return Vec(ty.n, el)
    if isinstance(ty, Mat):
        return Mat(ty.cols, ty.rows, el)
    if isinstance(ty, Array):
        return Array(with_scalar(ty.el, el), ty.count)
    return el


def is_abstract(ty: Type | None) -> bool:
    """Whether a type still has to be made concrete."""
    if isinstance(ty, Array):
        return is_abstract(ty.el)
    return scalar_of(ty) in (AINT, AFLOAT)
