"""Python text for declarations and assignments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gradschool.wgsl import ast, constants, operators
from gradschool.wgsl.emit_base import Local, Ref
from gradschool.wgsl.emit_expr import ExprEmitter
from gradschool.wgsl.layout import CELLS
from gradschool.wgsl.types import Array, Ptr, Struct, contains


class StatementEmitter(ExprEmitter):
    """Emits statements that do not change the mask of active lanes."""

    def cost_line(self, pos: int) -> str:
        """Text that counts a statement."""
        return f"rt.cost.line({self.line_of(pos)}, m, {self.ops}, {self.flops}, rt)"

    def declare(self, d: ast.Decl) -> None:
        """Emit a declaration."""
        if d.kind == "const":
            return
        if d.kind == "let" and isinstance(d.ty, Ptr):
            assert d.init is not None
            ref = self.pointer(d.init)
            self.pointers[d] = replace(ref, dyn=self.temp(ref.off), const=0) if ref.dyn else ref
            return
        self.temps += 1
        name = f"v{self.temps}"
        if d.kind == "var" and (d.address_taken or contains(d.ty, Array, Struct)):
            self._memory_var(d, name)
            return
        value = self.ex(d.init) if d.init is not None else self.const_name(constants.zero(d.ty))
        self.out(f"{name} = {value}")
        mask = ""
        if d.kind == "var":
            mask = f"d{self.temps}"
            self.out(f"{mask} = m")
        self.locals[d] = Local(name, self.region, mask)

    def _memory_var(self, d: ast.Decl, name: str) -> None:
        value = self.ex(d.init) if d.init is not None else ""
        info = self.program.info_name(d, CELLS, "function")
        ref = Ref(name, CELLS, d.ty)
        self.out(f"{name} = rt.local({info}, {CELLS.size(d.ty)})")
        self.memories[d] = ref
        # Fresh memory is zero already.
        if d.init is not None and not _is_zero(d.init.const):
            self.store(ref, value, d.pos)

    def assign(self, s: ast.Assign) -> None:
        """Emit an assignment."""
        if s.target is None:
            self.ex(s.value)
            return
        target = s.target
        ref = self.ref(target)
        if ref is not None:
            if ref.dyn:
                ref = replace(ref, dyn=self.temp(ref.off), const=0)
            if s.op == "=":
                value = self.ex(s.value)
            else:
                value = self._combined(s, self.load(ref, target.pos))
            self.store(ref, value, target.pos)
            return
        if isinstance(target, ast.Ident):
            current = self.local_name(target.decl)
            self._set(
                target.decl,
                self.ex(s.value) if s.op == "=" else self._combined(s, current),
            )
            return
        self._assign_part(s, target)

    def _combined(self, s: ast.Assign, current: str) -> str:
        assert s.target is not None
        assert s.target.ty is not None
        assert s.value.ty is not None
        self.count_ops(s.target)
        return operators.binary_code(s.op[:-1], s.target.ty, s.value.ty, current, self.ex(s.value))

    def _set(self, decl: Any, value: str) -> None:
        local = self.locals[decl]
        if local.region == self.region and self.region not in self.loose:
            self.out(f"{local.name} = {value}")
            return
        held = self.temp(value)
        self.out(f"{local.name} = {held} if m is {local.mask} else sel(m, {held}, {local.name})")

    def _assign_part(self, s: ast.Assign, target: ast.Expr) -> None:
        """Assign a component of a vector or matrix that is kept in a Python name."""
        path: list[str] = []
        node = target
        while isinstance(node, (ast.Index, ast.Member)):
            if isinstance(node, ast.Member):
                k = "xyzw".find(node.name)
                path.append(str(k if k >= 0 else "rgba".find(node.name)))
            elif node.index.const is not None:
                path.append(str(int(node.index.const)))
            else:
                path.append(self.temp(self.ex(node.index)))
            node = node.base
        assert isinstance(node, ast.Ident)
        name = self.local_name(node.decl)
        path.reverse()
        value = self.temp(self.ex(s.value) if s.op == "=" else self._combined(s, self.ex(target)))
        mask = "None" if self._same_region(node.decl) else "m"
        if len(path) == 2:
            column = f"at({name}, {path[0]})" if not path[0].isdigit() else f"{name}[{path[0]}]"
            value = f"put_comp({column}, {path[1]}, {value}, {mask})"
        self.out(f"{name} = put_comp({name}, {path[0]}, {value}, {mask})")

    def _same_region(self, decl: Any) -> bool:
        return self.locals[decl].region == self.region and self.region not in self.loose


def _is_zero(value: Any) -> bool:
    if value is None:
        return False
    if isinstance(value, tuple):
        return all(_is_zero(v) for v in value)
    # The sign of -0.0 counts.
    return not np.any(value) and not np.any(np.signbit(value) if value.dtype.kind == "f" else False)
