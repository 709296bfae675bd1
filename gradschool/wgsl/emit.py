"""Python text for whole functions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gradschool.wgsl import ast
from gradschool.wgsl.emit_base import Local
from gradschool.wgsl.emit_flow import FlowEmitter
from gradschool.wgsl.types import Ptr, Struct, Vec


class FunctionEmitter(FlowEmitter):
    """Emits one function, for one choice of memories behind its pointer parameters."""

    def emit(self) -> list[str]:
        """Text of the whole function."""
        f = self.f
        params = ["rt", "m"]
        if f.entry is not None:
            self.inputs = dict(zip(f.params, f.entry.inputs, strict=True))
        else:
            roots = iter(self.roots)
            for k, p in enumerate(f.params):
                if isinstance(p.ty, Ptr):
                    ref = next(roots)
                    params += [f"R{k}", f"o{k}"]
                    dyn = "" if ref.dyn == "" and ref.const == 0 else f"o{k}"
                    self.pointers[p] = replace(ref, root=f"R{k}", const=0, dyn=dyn)
                else:
                    params.append(f"p{k}")
                    self.locals[p] = Local(params[-1], self.region, "m")
        self.out("mR = False")
        self.out("ret = None")
        self.block(f.body.body)
        self.out("return ret")
        body, self.lines = self.lines, []
        if f.entry is None:
            self.out(f"rt.tick({self.line_of(f.pos)})")
        self.out("keep = rt.keep")
        self.out("split = rt.split")
        self.out("merge = rt.merge")
        self.out("tick = rt.tick")
        for root, name in self.used.items():
            self.out(f"{root} = rt.memories[{name!r}]")
        for decl, word in self.inputs.items():
            self._input(decl, word)
        return [f"def {self.name}({', '.join(params)}):", *self.lines, *body]

    def _input(self, decl: Any, word: Any) -> None:
        """Emit the names of a built-in value, before the body."""
        name = self.input_name(decl)
        if isinstance(decl.ty, Struct):
            parts = [
                f"vec(*rt.inputs[{w!r}])" if isinstance(f.type, Vec) else f"rt.inputs[{w!r}]"
                for w, f in zip(word, decl.ty.fields, strict=True)
            ]
            self.out(f"{name} = ({', '.join(parts)},)")
        elif not isinstance(decl.ty, Vec):
            self.out(f"{name} = rt.inputs[{word!r}]")
        else:
            axes = [f"{name}_{axis}" for axis in "xyz"]
            self.out(f"{', '.join(axes)} = rt.inputs[{word!r}]")
            if decl.name in self.vector_inputs:
                self.out(f"{name} = vec({', '.join(axes)})")

    def ex(self, e: ast.Expr) -> str:
        """Text of an expression; components of built-in values have names of their own."""
        if isinstance(e, ast.Member) and isinstance(e.base, ast.Ident) and e.base.decl in self.inputs:
            if isinstance(e.base.ty, Vec) and len(e.name) == 1:
                k = "xyz".find(e.name) if e.name in "xyz" else "rgb".find(e.name)
                return f"{self.input_name(e.base.decl)}_{'xyz'[k]}"
        return super().ex(e)
