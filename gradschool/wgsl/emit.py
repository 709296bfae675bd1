"""Python text for functions: statements under masks of active lanes.

In generated code `m` is None when all lanes are active, False when none is, and otherwise a boolean array. A
branch that all active lanes agree on costs one Python `if`. Lanes that break, continue or return leave `m`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradschool.wgsl import ast, constants, operators
from gradschool.wgsl.emit_expr import ExprEmitter
from gradschool.wgsl.emit_refs import Ref
from gradschool.wgsl.layout import CELLS, BufferLayout
from gradschool.wgsl.types import Array, Mat, Ptr, Struct, Type, Vec, contains


@dataclass(slots=True)
class Local:
    """A variable kept in a Python name, and the region of code that declared it."""

    name: str
    region: int
    mask: str


class Region:
    """Numbers of nested code regions that may have different masks."""

    def __init__(self) -> None:
        self.last = 0

    def new(self) -> int:
        """A fresh region."""
        self.last += 1
        return self.last


class FunctionEmitter(ExprEmitter):
    """Emits one function, for one choice of memories behind its pointer parameters."""

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
        self.regions = Region()
        self.region = self.regions.new()
        self.loose: set[int] = set()
        self.loop_stack: list[Any] = []
        self.returned = False
        self.counting = program.cost
        self.ops = 0
        self.roots = roots

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

    def line_of(self, pos: int) -> int:
        """Source line of an offset."""
        return self.program.source.line(pos)

    def count_ops(self, e: ast.Expr) -> None:
        """Count the arithmetic of an operator or built-in for the cost report."""
        ty = e.ty
        n = ty.n if isinstance(ty, Vec) else ty.cols * ty.rows if isinstance(ty, Mat) else 1
        if isinstance(e, ast.Call) and e.target in ("fma",):
            n *= 2
        if isinstance(e, ast.Call) and e.target in ("dot",) and isinstance(e.args[0].ty, Vec):
            n = 2 * e.args[0].ty.n - 1
        self.ops += n

    def count_load(self) -> None:
        """Loads are counted by the memory itself."""

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

    # Functions.

    inputs: dict[Any, str]

    def emit(self) -> list[str]:
        """Text of the whole function."""
        f = self.f
        self.inputs = {}
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
        name = self._input_name(decl)
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

    @property
    def vector_inputs(self) -> set[str]:
        """Built-in values used as whole vectors."""
        return self.__dict__.setdefault("_vector_inputs", set())

    def input_vector(self, decl: Any) -> str:
        """Name of a built-in value."""
        if isinstance(decl.ty, Vec):
            self.vector_inputs.add(decl.name)
        return self._input_name(decl)

    def _input_name(self, decl: Any) -> str:
        return f"g{self.f.params.index(decl)}"

    def ex(self, e: ast.Expr) -> str:
        """Text of an expression; components of built-in values have names of their own."""
        if isinstance(e, ast.Member) and isinstance(e.base, ast.Ident) and e.base.decl in self.inputs:
            if isinstance(e.base.ty, Vec) and len(e.name) == 1:
                k = "xyz".find(e.name) if e.name in "xyz" else "rgb".find(e.name)
                return f"{self._input_name(e.base.decl)}_{'xyz'[k]}"
        return super().ex(e)

    # Statements.

    def block(self, body: list[ast.Stmt], bail: str = "") -> None:
        """Emit statements; `bail` is the line that leaves when no lane is left, else the rest is nested."""
        depth = self.depth
        for k, s in enumerate(body):
            self.statement(s)
            if isinstance(s, (ast.Jump, ast.Return)):
                break
            if k + 1 < len(body) and escapes(s):
                leave = bail or ("return ret" if depth == 1 and self.region == 1 else "")
                if leave:
                    self.out("if m is False:")
                    self.out(f" {leave}")
                else:
                    self.out("if m is not False:")
                    self.depth += 1
        self.depth = depth

    def statement(self, s: ast.Stmt) -> None:
        """Emit one statement."""
        start = len(self.lines)
        self.ops = 0
        match s:
            case ast.Block():
                self.block(s.body)
                return
            case ast.Decl():
                self._decl(s)
            case ast.Assign():
                self._assign(s)
            case ast.If():
                self._if(s)
                return
            case ast.Loop():
                self._loop(s)
                return
            case ast.Switch():
                self._switch(s)
                return
            case ast.Jump():
                self._jump(s)
            case ast.Return():
                self._return(s)
            case ast.CallStmt():
                self.call_statement(s.call)
            case ast.ConstAssert():
                return
        if self.counting:
            self.lines.insert(start, " " * self.depth + self._cost_line(s.pos))

    def _cost_line(self, pos: int) -> str:
        return f"rt.cost.line({self.line_of(pos)}, m, {self.ops})"

    def _count(self, pos: int) -> None:
        if self.counting:
            self.out(self._cost_line(pos))

    def _decl(self, d: ast.Decl) -> None:
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

    def _assign(self, s: ast.Assign) -> None:
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
            self._set(target.decl, self.ex(s.value) if s.op == "=" else self._combined(s, current))
            return
        self._assign_part(s, target)

    def _combined(self, s: ast.Assign, current: str) -> str:
        assert s.target is not None and s.target.ty is not None and s.value.ty is not None
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

    def _condition(self, e: ast.Expr) -> str:
        self.ops = 0
        start = len(self.lines)
        text = self.ex(e)
        if self.counting:
            self.lines.insert(start, " " * self.depth + self._cost_line(e.pos))
        return text

    def _branch(self, mask: str, body: list[ast.Stmt], keep: bool) -> None:
        self.out(f"if {mask} is not False:")
        outer, self.region = self.region, self.regions.new()
        with self.indented():
            self.out(f"m = {mask}")
            self.block(body)
            if keep:
                self.out(f"{mask} = m")
        self.region = outer

    def _if(self, s: ast.If) -> None:
        condition = self._condition(s.condition)
        self.temps += 1
        n = self.temps
        leaves = escapes(s)
        yes, no, saved = f"a{n}", f"b{n}", f"s{n}"
        if s.orelse is None and not leaves:
            self.out(f"{saved} = m")
            self.out(f"{yes} = keep(m, {condition})")
        else:
            self.out(f"{saved} = m")
            self.out(f"{yes}, {no} = split(m, {condition})")
        self._branch(yes, s.then.body, leaves)
        if s.orelse is not None:
            body = s.orelse.body if isinstance(s.orelse, ast.Block) else [s.orelse]
            self._branch(no, body, leaves)
        self.out(f"m = merge({saved}, {yes}, {no})" if leaves else f"m = {saved}")

    def _loop(self, s: ast.Loop) -> None:
        self.temps += 1
        n = self.temps
        line = self.line_of(s.pos)
        outer, self.region = self.region, self.regions.new()
        head = self.region
        self.out(f"l{n} = m")
        if s.init is not None:
            self.statement(s.init)
        continues = has_continue(s.body)
        self.out("while True:")
        self.depth += 1
        self.out(f"tick({line})")
        if s.condition is not None:
            self.out(f"m = keep(m, {self._condition(s.condition)})")
            self.out("if m is False:")
            self.out(" break")
        if continues:
            self.out(f"i{n} = m")
            self.out(f"c{n} = False")
        self.region = self.regions.new()
        if continues and s.continuing is not None:
            self.loose.add(self.region)
        self.loop_stack.append(("loop", n))
        self.block(s.body.body, "" if continues else "break")
        self.loop_stack.pop()
        if continues:
            self.out(f"m = merge(i{n}, m, c{n})")
        if escapes(s.body):
            self.out("if m is False:")
            self.out(" break")
        if s.update is not None:
            self.region = head
            self.statement(s.update)
        if s.continuing is not None:
            self.block(s.continuing.body)
            if s.break_if is not None:
                self.out(f"m = keep(m, ~{self.temp(self._condition(s.break_if))})")
                self.out("if m is False:")
                self.out(" break")
        self.depth -= 1
        self.region = outer
        self.out(f"m = rt.minus(l{n}, mR)" if escapes(s) else f"m = l{n}")

    def _switch(self, s: ast.Switch) -> None:
        value = self.temp(self._condition(s.value))
        self.temps += 1
        n = self.temps
        self.out(f"l{n} = rest{n} = m")
        self.out(f"k{n} = done{n} = False")
        self.loop_stack.append(("switch", n))
        ordered = [c for c in s.cases if None not in c.selectors] + [
            c for c in s.cases if None in c.selectors
        ]
        for case in ordered:
            if None in case.selectors:
                self.out(f"a{n} = rest{n}")
            else:
                tests = [f"({value} == {self.const_name(e.const)})" for e in case.selectors if e is not None]
                self.out(f"a{n} = rest{n}")
                self.out(f"if rest{n} is not False:")
                self.out(f" a{n}, rest{n} = split(rest{n}, {' | '.join(tests)})")
            self._branch(f"a{n}", case.body.body, True)
            self.out(f"done{n} = rt.union(done{n}, a{n})")
        self.loop_stack.pop()
        self.out(f"m = merge(l{n}, done{n}, k{n})")

    def _jump(self, s: ast.Jump) -> None:
        if s.kind == "break":
            kind, n = self.loop_stack[-1]
            if kind == "switch":
                self.out(f"k{n} = rt.union(k{n}, m)")
        else:
            n = next(k for kind, k in reversed(self.loop_stack) if kind == "loop")
            self.out(f"c{n} = rt.union(c{n}, m)")
        self.out("m = False")

    def _return(self, s: ast.Return) -> None:
        if s.value is not None:
            value = self.temp(self.ex(s.value))
            self.out(f"ret = {value} if ret is None or m is None else sel(m, {value}, ret)")
        self.out("mR = rt.union(mR, m)")
        self.out("m = False")


def _is_zero(value: Any) -> bool:
    if value is None:
        return False
    if isinstance(value, tuple):
        return all(_is_zero(v) for v in value)
    # The sign of -0.0 counts.
    return not np.any(value) and not np.any(np.signbit(value) if value.dtype.kind == "f" else False)


def escapes(s: ast.Stmt, in_loop: bool = False, in_switch: bool = False) -> bool:
    """Whether lanes can leave a statement by break, continue or return."""
    match s:
        case ast.Return():
            return True
        case ast.Jump():
            return not (in_loop or (in_switch and s.kind == "break"))
        case ast.Block():
            return any(escapes(x, in_loop, in_switch) for x in s.body)
        case ast.If():
            return escapes(s.then, in_loop, in_switch) or (
                s.orelse is not None and escapes(s.orelse, in_loop, in_switch)
            )
        case ast.Switch():
            return any(escapes(c.body, in_loop, True) for c in s.cases)
        case ast.Loop():
            return escapes(s.body, True, True)
    return False


def has_continue(s: ast.Stmt) -> bool:
    """Whether a loop's body has a continue of its own."""
    match s:
        case ast.Jump():
            return s.kind == "continue"
        case ast.Block():
            return any(has_continue(x) for x in s.body)
        case ast.If():
            return has_continue(s.then) or (s.orelse is not None and has_continue(s.orelse))
        case ast.Switch():
            return any(has_continue(c.body) for c in s.cases)
    return False


def buffer_layout(ty: Type) -> BufferLayout:
    """Layout of a buffer's contents."""
    return BufferLayout(ty)
