"""Code for places in memory: where a reference points, and how to load and store there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradschool.wgsl import ast
from gradschool.wgsl.emit_base import Emitter, Ref
from gradschool.wgsl.layout import Layout
from gradschool.wgsl.types import (
    F16,
    Array,
    Atomic,
    Mat,
    Ptr,
    Scalar,
    Struct,
    Type,
    Vec,
)


class RefEmitter(Emitter):
    """Finds places, and emits loads and stores."""

    def ref(self, e: ast.Expr) -> Ref | None:
        """Place that an expression denotes, or None if it is a plain value."""
        match e:
            case ast.Ident():
                return self.memory_of(e.decl)
            case ast.Unary(op="*"):
                return self.pointer(e.operand)
            case ast.Index():
                base = self.base_ref(e.base)
                return None if base is None else self.indexed(base, e)
            case ast.Member():
                base = self.base_ref(e.base)
                if base is None:
                    return None
                if isinstance(base.ty, Struct):
                    return self.field_ref(
                        base,
                        next(k for k, f in enumerate(base.ty.fields) if f.name == e.name),
                    )
                if isinstance(base.ty, Vec) and len(e.name) == 1:
                    k = "xyzw".find(e.name) if e.name in "xyzw" else "rgba".find(e.name)
                    return replace(
                        base,
                        ty=base.ty.el,
                        const=base.const + k * base.layout.step(base.ty.el),
                        ends_root=False,
                    )
        return None

    def base_ref(self, e: ast.Expr) -> Ref | None:
        """Place of the base of a member or index expression, through a pointer if it is one."""
        return self.pointer(e) if isinstance(e.ty, Ptr) else self.ref(e)

    def pointer(self, e: ast.Expr) -> Ref:
        """Place that a pointer expression points to."""
        if isinstance(e, ast.Unary) and e.op == "&":
            found = self.ref(e.operand)
            assert found is not None
            return found
        assert isinstance(e, ast.Ident)
        return self.pointers[e.decl]

    def field_ref(self, base: Ref, k: int) -> Ref:
        """Place of a member."""
        ty = base.ty
        assert isinstance(ty, Struct)
        last = base.ends_root and k == len(ty.fields) - 1
        return replace(
            base,
            ty=ty.fields[k].type,
            const=base.const + base.layout.field(ty, k),
            ends_root=last,
        )

    def indexed(self, base: Ref, e: ast.Index) -> Ref:
        """Place of an element."""
        ty, layout = base.ty, base.layout
        if isinstance(ty, Array):
            el, stride, count = ty.el, layout.stride(ty.el), ty.count
        elif isinstance(ty, Mat):
            el = Vec(ty.rows, ty.el)
            stride, count = layout.stride(el), ty.cols
        else:
            assert isinstance(ty, Vec)
            el, stride, count = ty.el, layout.step(ty.el), ty.n
        if e.index.const is not None:
            k = int(e.index.const)
            last = base.ends_root and (count is None or k == count - 1)
            return replace(base, ty=el, const=base.const + k * stride, ends_root=last)
        index = self.ex(e.index)
        if base.ends_root or count is None:
            # The end of the memory is the end of this array, so the memory's own check is enough.
            term = f"ix({index})" + (f" * {stride}" if stride != 1 else "")
            dyn = f"{base.dyn} + {term}" if base.dyn else term
        else:
            dyn = f"step({base.dyn or '0'}, {index}, {stride}, {count})"
        return replace(base, ty=el, dyn=dyn, ends_root=base.ends_root)

    # Loads and stores.

    def load(self, ref: Ref, pos: int) -> str:
        """Name of a temporary that holds the value of a place."""
        ty = ref.ty
        if isinstance(ty, Atomic):
            ty = ty.el
        line = self.line_of(pos)
        if isinstance(ty, Scalar):
            view, shift = ref.layout.scalar(ty)
            if ref.frozen and not ref.dyn and not self.counting:
                return f"{ref.root}.{view}[{ref.const >> shift}]"
            tail = f", {shift}" if shift else ""
            code = f"{ref.root}.get({ref.root}.{view}, {ref.off}, {self.m}, {line}{tail})"
            return self.temp(_from_cell(code, ty, ref.layout))
        if isinstance(ty, Vec):
            return self.temp(self._load_vector(ref, ty, line))
        if isinstance(ty, Mat):
            column = Vec(ty.rows, ty.el)
            step = ref.layout.stride(column)
            base = self.temp(ref.off) if ref.dyn else ""
            columns = [
                self.temp(self._load_vector(_moved(ref, base, k * step, column), column, line))
                for k in range(ty.cols)
            ]
            return self.temp(f"mat_of_cols({', '.join(columns)})")
        base = self.temp(ref.off) if ref.dyn else ""
        parts = [self.load(part, pos) for part in self.parts(ref, base)]
        return self.temp(f"({', '.join(parts)},)")

    def parts(self, ref: Ref, base: str) -> list[Ref]:
        """Places of the members or elements of a composite place."""
        ty = ref.ty
        if isinstance(ty, Struct):
            return [_moved(ref, base, ref.layout.field(ty, k), f.type) for k, f in enumerate(ty.fields)]
        assert isinstance(ty, Array)
        assert ty.count is not None
        step = ref.layout.stride(ty.el)
        return [_moved(ref, base, k * step, ty.el) for k in range(ty.count)]

    def _comps(self, ref: Ref, ty: Vec) -> str:
        step = ref.layout.step(ty.el)
        return self.const_name((np.arange(ty.n, dtype=np.intp) * step).reshape(ty.n, 1))

    def _load_vector(self, ref: Ref, ty: Vec, line: int) -> str:
        view, shift = ref.layout.scalar(ty.el)
        tail = f", {shift}" if shift else ""
        code = (
            f"{ref.root}.getv({ref.root}.{view}, {ref.off}, {self._comps(ref, ty)}, {self.m}, {line}{tail})"
        )
        return _from_cell(code, ty.el, ref.layout)

    def store(self, ref: Ref, value: str, pos: int) -> None:
        """Store a value (the text of a simple expression) at a place."""
        ty, line = ref.ty, self.line_of(pos)
        if isinstance(ty, Atomic):
            ty = ty.el
        if isinstance(ty, (Scalar, Vec)):
            el = ty if isinstance(ty, Scalar) else ty.el
            view, shift = ref.layout.scalar(el)
            tail = f", {shift}" if shift else ""
            value = _to_cell(value, el, ref.layout)
            if isinstance(ty, Scalar):
                self.out(f"{ref.root}.put({ref.root}.{view}, {ref.off}, {value}, {self.m}, {line}{tail})")
            else:
                comps = self._comps(ref, ty)
                self.out(
                    f"{ref.root}.putv({ref.root}.{view}, {ref.off}, {comps}, {value}, {self.m}, {line}{tail})"
                )
            return
        value = self.temp(value)
        base = self.temp(ref.off) if ref.dyn else ""
        if isinstance(ty, Mat):
            column = Vec(ty.rows, ty.el)
            step = ref.layout.stride(column)
            for k in range(ty.cols):
                self.store(_moved(ref, base, k * step, column), f"{value}[{k}]", pos)
            return
        for k, part in enumerate(self.parts(ref, base)):
            self.store(part, f"{value}[{k}]", pos)


def _moved(ref: Ref, base: str, by: int, ty: Type) -> Ref:
    """A place inside another; `base` names a temporary with the offset so far, if it is dynamic."""
    if base:
        return replace(ref, ty=ty, dyn=base, const=by, ends_root=False)
    return replace(ref, ty=ty, const=ref.const + by, ends_root=False)


def _from_cell(code: str, el: Scalar, layout: Layout) -> str:
    if el.name == "bool":
        return f"({code} != 0)"
    if el is F16 and layout.scalar(el)[0] == "f32":
        return f"{code}.astype(f16)"
    return code


def _to_cell(value: str, el: Scalar, layout: Layout) -> str:
    if el.name == "bool":
        return f"{value}.astype(u32)"
    if el is F16 and layout.scalar(el)[0] == "f32":
        return f"{value}.astype(f32)"
    return value
