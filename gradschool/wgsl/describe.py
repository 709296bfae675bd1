"""What the host has to know of a module: bindings, their layout, entry points."""

from __future__ import annotations

from dataclasses import dataclass

from gradschool.wgsl import ast
from gradschool.wgsl.types import (
    Array,
    Struct,
    Type,
    align_of,
    is_runtime_sized,
    size_of,
    stride_of,
)


@dataclass(frozen=True, slots=True)
class BindingField:
    """A member of a binding's struct."""

    name: str
    type: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class BindingType:
    """Type of a binding, as the host lays it out.

    Attributes:
        name: WGSL spelling.
        size: Bytes; for a runtime-sized array, of one element.
        align: Alignment in bytes.
        stride: Bytes between elements, or None if it is not an array.
        layout: Members of a struct; empty for other types.
        runtime_sized: Whether the buffer decides the number of elements.
    """

    name: str
    size: int
    align: int
    stride: int | None
    layout: tuple[BindingField, ...]
    runtime_sized: bool

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Binding:
    """A buffer that a kernel declares; `access` is `read` or `read_write`, `address_space` `uniform` or `storage`."""

    group: int
    binding: int
    name: str
    address_space: str
    access: str
    type: BindingType

    @property
    def min_bytes(self) -> int:
        """Smallest buffer that may be bound."""
        return self.type.size


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A kernel's entry point."""

    name: str
    stage: str
    workgroup_size: tuple[int, int, int]
    bindings: tuple[Binding, ...]
    workgroup_bytes: int


def _describe(ty: Type) -> BindingType:
    fields: tuple[BindingField, ...] = ()
    if isinstance(ty, Struct):
        fields = tuple(BindingField(f.name, str(f.type), f.offset, f.size) for f in ty.fields)
    stride = stride_of(ty.el) if isinstance(ty, Array) else None
    return BindingType(str(ty), size_of(ty), align_of(ty), stride, fields, is_runtime_sized(ty))


def binding_of(d: ast.Decl) -> Binding:
    """Describe a buffer declaration."""
    return Binding(d.group, d.binding, d.name, d.space, d.access, _describe(d.ty))


def by_number(b: Binding) -> tuple[int, int]:
    """Order of bindings."""
    return b.group, b.binding


def entry_point(f: ast.Function) -> EntryPoint:
    """Describe an entry point."""
    used = [binding_of(d) for d in f.uses if d.space in ("uniform", "storage")]
    shared = sum(size_of(d.ty) for d in f.uses if d.space == "workgroup")
    return EntryPoint(
        f.name,
        "compute",
        f.entry.workgroup_size,
        tuple(sorted(used, key=by_number)),
        shared,
    )
