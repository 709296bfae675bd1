"""Where the scalars of a type lie in a memory: bytes in buffers, one cell per scalar elsewhere."""

from __future__ import annotations

from gradschool.wgsl.types import (
    F16,
    Array,
    Atomic,
    Mat,
    Scalar,
    Struct,
    Type,
    Vec,
    contains,
    is_runtime_sized,
    size_of,
    stride_of,
)


class Layout:
    """Sizes and offsets in cells of 4 bytes; f16 and bool take a whole cell. For memory no host sees."""

    granule = 4

    def __init__(self) -> None:
        self._sizes: dict[Struct, int] = {}

    def size(self, ty: Type) -> int:
        """Cells a value takes."""
        if isinstance(ty, (Scalar, Atomic)):
            return 1
        if isinstance(ty, Vec):
            return ty.n
        if isinstance(ty, Mat):
            return ty.cols * ty.rows
        if isinstance(ty, Array):
            return self.stride(ty.el) * (ty.count or 0)
        assert isinstance(ty, Struct)
        if ty not in self._sizes:
            self._sizes[ty] = sum(self.size(f.type) for f in ty.fields)
        return self._sizes[ty]

    def stride(self, el: Type) -> int:
        """Distance between neighbours in an array or between columns."""
        return self.size(el)

    def field(self, ty: Struct, k: int) -> int:
        """Offset of a member."""
        return sum(self.size(f.type) for f in ty.fields[:k])

    def scalar(self, el: Scalar) -> tuple[str, int]:
        """Name of the view that reads a scalar, and how far to shift an offset for it."""
        return {"f16": "f32", "bool": "u32"}.get(el.name, el.name), 0

    def step(self, el: Scalar) -> int:
        """Distance between components of a vector."""
        return 1

    def path(self, ty: Type, off: int) -> str:
        """Name of the element at an offset, such as `[3].x`."""
        if isinstance(ty, Array):
            step = self.stride(ty.el)
            return f"[{off // step}]" + self.path(ty.el, off % step)
        if isinstance(ty, Struct):
            k = max(i for i in range(len(ty.fields)) if self.field(ty, i) <= off)
            return f".{ty.fields[k].name}" + self.path(ty.fields[k].type, off - self.field(ty, k))
        if isinstance(ty, Vec):
            return f".{'xyzw'[min(off // self.step(ty.el), 3)]}"
        if isinstance(ty, Mat):
            column = Vec(ty.rows, ty.el)
            return f"[{off // self.stride(column)}]" + self.path(column, off % self.stride(column))
        return ""


class BufferLayout(Layout):
    """Sizes and offsets of the specification, in granules of 4 bytes, or of 2 when the buffer holds f16."""

    def __init__(self, root: Type) -> None:
        super().__init__()
        self.granule = 2 if contains(root, F16) else 4

    def size(self, ty: Type) -> int:
        """Granules a value takes; a runtime-sized array takes none."""
        if is_runtime_sized(ty):
            return 0 if isinstance(ty, Array) else self.field(ty, len(ty.fields) - 1)  # type: ignore
        return size_of(ty) // self.granule

    def stride(self, el: Type) -> int:
        """Distance between neighbours."""
        return stride_of(el) // self.granule

    def field(self, ty: Struct, k: int) -> int:
        """Offset of a member."""
        return ty.fields[k].offset // self.granule

    def scalar(self, el: Scalar) -> tuple[str, int]:
        """Name of the view that reads a scalar, and how far to shift an offset for it."""
        return el.name, 1 if self.granule == 2 and el is not F16 else 0

    def step(self, el: Scalar) -> int:
        """Distance between components."""
        return size_of(el) // self.granule


CELLS = Layout()
