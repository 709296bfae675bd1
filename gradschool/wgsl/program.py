"""From a checked source to a Python function per entry point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradschool.wgsl import ast, constants
from gradschool.wgsl.emit import FunctionEmitter
from gradschool.wgsl.emit_base import Ref
from gradschool.wgsl.errors import Source
from gradschool.wgsl.layout import CELLS, BufferLayout, Layout
from gradschool.wgsl.types import Type


@dataclass(slots=True, eq=False)
class Info:
    """What a memory needs to know about its variable."""

    name: str
    ty: Type
    layout: Layout
    space: str
    access: str
    binding: int
    line: int
    init: Any = None


class Program:
    """Generated code of one entry point; `cost` adds a count to every statement."""

    def __init__(self, source: Source, entry: ast.Function, cost: bool) -> None:
        self.source = source
        self.cost = cost
        self.names: dict[str, Any] = dict(constants.ENV)
        self._constants: dict[Any, str] = {}
        self._functions: dict[Any, str] = {}
        self._queue: list[FunctionEmitter] = []
        self._layouts: dict[ast.Decl, Layout] = {}
        self.infos = {d.name: self._info(d) for d in entry.uses}
        lines = FunctionEmitter(self, entry, "entry", []).emit()
        while self._queue:
            lines += self._queue.pop().emit()
        self.text = "\n".join(lines)
        code = compile(self.text, f"<{source.file}>", "exec")
        exec(code, self.names)  # the text is made by this package from a checked tree
        self.entry = self.names["entry"]

    def _layout(self, d: ast.Decl) -> Layout:
        if d not in self._layouts:
            self._layouts[d] = BufferLayout(d.ty) if d.space in ("storage", "uniform") else CELLS
        return self._layouts[d]

    def _info(self, d: ast.Decl) -> Info:
        init = d.init.const if d.init is not None else None
        return Info(
            d.name,
            d.ty,
            self._layout(d),
            d.space,
            d.access,
            d.binding,
            self.source.line(d.pos),
            init,
        )

    # What the emitter asks for.

    def const_name(self, value: Any) -> str:
        """Name of a constant."""
        key = _key(value)
        if key not in self._constants:
            name = f"K{len(self._constants)}"
            self._constants[key] = name
            self.names[name] = value
        return self._constants[key]

    def info_name(self, d: ast.Decl, layout: Layout, space: str) -> str:
        """Name of the description of a local variable that lives in memory."""
        name = f"I{len(self.names)}"
        self.names[name] = Info(d.name, d.ty, layout, space, "read_write", -1, self.source.line(d.pos))
        return name

    def global_ref(self, d: ast.Decl, root: str) -> Ref:
        """Place of a module-scope variable."""
        frozen = d.access == "read"
        return Ref(root, self._layout(d), d.ty, frozen=frozen)

    def function_name(self, f: ast.Function, refs: list[Ref]) -> str:
        """Name of a function for these memories; emitted once per shape."""
        key = (
            f,
            tuple(
                (
                    r.ty,
                    id(r.layout),
                    r.ends_root,
                    r.frozen,
                    r.dyn == "" and r.const == 0,
                )
                for r in refs
            ),
        )
        if key not in self._functions:
            self._functions[key] = f"call{len(self._functions)}"
            self._queue.append(FunctionEmitter(self, f, self._functions[key], refs))
        return self._functions[key]


def _key(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_key(v) for v in value)
    return value.dtype.str, value.shape, value.tobytes()
