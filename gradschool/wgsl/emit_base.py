"""What every part of the code generator shares: lines, names and counts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gradschool.wgsl import ast, constants
from gradschool.wgsl.layout import Layout
from gradschool.wgsl.types import Mat, Scalar, Type, Vec, scalar_of


@dataclass(slots=True)
class Local:
    """A variable kept in a Python name, and the region of code that declared it."""

    name: str
    region: int
    mask: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A place: a memory, a constant offset, and an offset computed in the run (`dyn`, Python text)."""

    root: str
    layout: Layout
    ty: Type
    const: int = 0
    dyn: str = ""
    ends_root: bool = True  # nothing lies between the end of this place and the end of the memory
    frozen: bool = False  # read-only for the whole run

    @property
    def off(self) -> str:
        """Python text of the offset."""
        if not self.dyn:
            return str(self.const)
        return f"{self.dyn} + {self.const}" if self.const else self.dyn


class Emitter:
    """The text of one function as it grows."""

    m = "m"

    def __init__(self, program: Any, f: ast.Function, name: str, roots: list[Ref]) -> None:
        self.program = program
        self.f = f
        self.name = name
        self.lines: list[str] = []
        self.depth = 1
        self.temps = 0
        self.locals: dict[Any, Local] = {}
        self.memories: dict[Any, Ref] = {}
        self.pointers: dict[Any, Ref] = {}
        self.used: dict[str, str] = {}
        self.last_region = self.region = 1
        self.loose: set[int] = set()
        self.loop_stack: list[Any] = []
        self.counting = program.cost
        self.ops = self.flops = 0
        self.roots = roots
        self.inputs: dict[Any, Any] = {}
        self.vector_inputs: set[str] = set()

    # The text.

    def out(self, line: str) -> None:
        """Add a line."""
        self.lines.append(" " * self.depth + line)

    @contextmanager
    def indented(self):
        """Lines one level deeper; an empty block gets a `pass`."""
        self.depth += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.out("pass")
        self.depth -= 1

    def temp(self, code: str) -> str:
        """Put a value in a fresh name."""
        self.temps += 1
        name = f"t{self.temps}"
        self.out(f"{name} = {code}")
        return name

    def const_name(self, value: Any) -> str:
        """Name of a constant."""
        return self.program.const_name(value)

    def new_region(self) -> int:
        """Number of a fresh region: code whose mask may differ from its surroundings."""
        self.last_region += 1
        return self.last_region

    def line_of(self, pos: int) -> int:
        """Source line of an offset."""
        return self.program.source.line(pos)

    def count_ops(self, e: ast.Expr) -> None:
        """Count the arithmetic of an operator or built-in for the cost report."""
        ty = e.ty
        n = ty.n if isinstance(ty, Vec) else ty.cols * ty.rows if isinstance(ty, Mat) else 1
        if isinstance(e, ast.Call) and e.target == "fma":
            n *= 2
        elif isinstance(e, ast.Call) and e.target == "dot" and isinstance(e.args[0].ty, Vec):
            n = 2 * e.args[0].ty.n - 1
        elif (
            isinstance(e, ast.Binary)
            and e.op == "*"
            and isinstance(e.left.ty, Mat)
            and not isinstance(e.right.ty, Scalar)
        ):
            n *= 2 * e.left.ty.cols - 1
        elif isinstance(e, ast.Binary) and isinstance(e.left.ty, Vec) and isinstance(e.right.ty, Mat):
            n *= 2 * e.left.ty.n - 1
        elif isinstance(e, ast.Call) and e.target == "select":
            return
        self.ops += n
        el = scalar_of(ty)
        if el is not None and el.name in ("f32", "f16"):
            self.flops += n

    # Names.

    def local_name(self, decl: Any) -> str:
        """Python name of a let, parameter or variable."""
        found = self.locals.get(decl)
        if found is not None:
            return found.name
        assert decl in self.inputs, decl.name
        return self.input_vector(decl)

    def memory_of(self, decl: Any) -> Ref | None:
        """Place of a variable that lives in memory, or None."""
        if not isinstance(decl, ast.Decl) or decl.kind != "var":
            return None
        if not decl.is_global:
            return self.memories.get(decl)
        # Numbered, because Python takes different spellings of a Unicode name for one.
        root = f"M{list(self.program.infos).index(decl.name)}"
        self.used[root] = decl.name
        return self.program.global_ref(decl, root)

    def big_zero(self, ty: Type) -> str:
        """Zero value of a type too large to spell."""
        return self.program.const_name(constants.zero(ty))

    def function_name(self, f: ast.Function, refs: list[Ref]) -> str:
        """Python name of a function specialised to the memories its pointers reach."""
        return self.program.function_name(f, refs)

    def input_vector(self, decl: Any) -> str:
        """Name of a built-in value."""
        if isinstance(decl.ty, Vec):
            self.vector_inputs.add(decl.name)
        return self.input_name(decl)

    def input_name(self, decl: Any) -> str:
        """Python name of a built-in value."""
        return f"g{self.f.params.index(decl)}"

    def ex(self, e: ast.Expr) -> str:
        """Text of an expression; the expression emitter provides it."""
        raise NotImplementedError
