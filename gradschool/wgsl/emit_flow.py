"""Python text for control flow: which lanes take a branch, leave a loop or return.

In generated code `m` is None when all lanes are active, False when none is, and otherwise a boolean array. A
branch that all active lanes agree on costs one Python `if`. Lanes that break, continue or return leave `m`.
"""

from __future__ import annotations

from gradschool.wgsl import ast
from gradschool.wgsl.emit_stmt import StatementEmitter


class FlowEmitter(StatementEmitter):
    """Emits blocks, branches, loops and jumps."""

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
        self.ops = self.flops = 0
        match s:
            case ast.Block():
                self.block(s.body)
                return
            case ast.Decl():
                self.declare(s)
            case ast.Assign():
                self.assign(s)
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
            self.lines.insert(start, " " * self.depth + self.cost_line(s.pos))

    def _condition(self, e: ast.Expr) -> str:
        self.ops = self.flops = 0
        start = len(self.lines)
        text = self.ex(e)
        if self.counting:
            self.lines.insert(start, " " * self.depth + self.cost_line(e.pos))
        return text

    def _branch(self, mask: str, body: list[ast.Stmt], keep: bool) -> None:
        self.out(f"if {mask} is not False:")
        outer, self.region = self.region, self.new_region()
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
        outer, self.region = self.region, self.new_region()
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
            self.out(f"whole{n} = m")
            self.out(f"c{n} = False")
        self.region = self.new_region()
        if continues and s.continuing is not None:
            self.loose.add(self.region)
        self.loop_stack.append(("loop", n))
        self.block(s.body.body, "" if continues else "break")
        self.loop_stack.pop()
        if continues:
            self.out(f"m = merge(whole{n}, m, c{n})")
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
