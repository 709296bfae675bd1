"""Rules of statements."""

from __future__ import annotations

from gradschool.wgsl import ast, operators
from gradschool.wgsl.ast import CONST
from gradschool.wgsl.check_special import SpecialChecker
from gradschool.wgsl.scope import is_constructible
from gradschool.wgsl.types import (
    BOOL,
    I32,
    U32,
    Ptr,
    Vec,
    is_abstract,
    is_runtime_sized,
    size_of,
)

MAX_PRIVATE_BYTES = 8192
NEXT, BREAK, CONTINUE, RETURN = "next", "break", "continue", "return"


class StatementChecker(SpecialChecker):
    """Checks statements and says how each can end (the specification's behaviours)."""

    jumps: list

    def block(self, block: ast.Block, new_scope: bool = True) -> set[str]:
        """Check a block."""
        if new_scope:
            self.scopes.append({})
        behaviour = {NEXT}
        for s in block.body:
            ends = self.statement(s)
            if NEXT in behaviour:
                behaviour = (behaviour - {NEXT}) | ends
        if new_scope:
            self.scopes.pop()
        return behaviour

    def statement(self, s: ast.Stmt) -> set[str]:
        """Check one statement."""
        match s:
            case ast.Block():
                return self.block(s)
            case ast.Decl():
                self.local(s)
            case ast.Assign():
                self._assign(s)
            case ast.If():
                return self._if(s)
            case ast.Loop():
                return self._loop(s)
            case ast.Switch():
                return self._switch(s)
            case ast.Jump():
                return self._jump(s)
            case ast.Return():
                return self._return(s)
            case ast.CallStmt():
                self._call_statement(s)
            case ast.ConstAssert():
                self.const_assert(s)
            case _:
                raise AssertionError(s)
        return {NEXT}

    def condition(self, e: ast.Expr, what: str) -> None:
        """Check a condition."""
        ty = self.value(e)
        if ty != BOOL:
            self.fail(
                f"the condition of {what} must be bool, got {ty}",
                e,
                "compare it, for example x != 0",
            )

    def const_assert(self, s: ast.ConstAssert) -> None:
        """Check that an assertion holds."""
        self.condition(s.condition, "const_assert")
        if s.condition.const is None or s.condition.stage != CONST:
            self.fail("const_assert needs a constant expression", s.condition)
        if not s.condition.const:
            self.fail("this const_assert does not hold", s, "", len("const_assert"))

    def local(self, d: ast.Decl) -> None:
        """Check a declaration in a function."""
        if d.kind == "override":
            self.fail("override is only allowed outside functions", d)
        if d.space not in ("", "function"):
            self.fail(
                f"var<{d.space}> must be declared outside functions",
                d,
                "move it above fn",
            )
        self.declared_value(d)
        if d.kind == "var":
            d.space, d.access = "function", "read_write"
            if not is_constructible(d.ty):
                self.fail(f"a var in a function cannot hold {d.ty}", d)
            if size_of(d.ty) > MAX_PRIVATE_BYTES:
                help = "use workgroup memory, or keep less at a time"
                self.fail(
                    f"{d.name} takes {size_of(d.ty)} bytes; a variable of a function has at most {MAX_PRIVATE_BYTES}",
                    d,
                    help,
                )
        elif d.kind == "const" and (d.const is None or d.stage != CONST):
            self.fail(
                f"const {d.name} needs a constant expression",
                d,
                "use let for a value known only in the run",
            )
        self.declare(d)

    def declared_value(self, d: ast.Decl) -> None:
        """Give a declaration its type and, if it is constant, its value."""
        ty = self.resolve(d.type_expr) if d.type_expr is not None else None
        if d.init is None:
            if ty is None:
                self.fail(f"{d.kind} {d.name} needs a type or a value", d)
        else:
            found = self.value(d.init)
            if ty is not None:
                self.convert(d.init, ty, f"the value of {d.name}")
            elif d.kind != "const" and is_abstract(found):
                ty = self.concretize(d.init)
            else:
                ty = found
            if d.kind == "var" and isinstance(ty, Ptr):
                self.fail("a var cannot hold a pointer", d, "use let")
        d.ty = ty
        if d.kind in ("const", "override") and d.init is not None:
            d.const, d.stage = d.init.const, d.init.stage

    def _assign(self, s: ast.Assign) -> None:
        value = self.value(s.value)
        if s.target is None:
            self.concretize(s.value)
            return
        ty = self.expr(s.target)
        self._must_be_writable(s.target)
        if not is_constructible(ty):
            help = (
                "use atomicStore(&x, value)" if not is_runtime_sized(ty) else "assign its elements one by one"
            )
            self.fail(f"a value of type {ty} cannot be assigned", s.target, help)
        if s.op == "=":
            self.convert(s.value, ty, "the assigned value")
            return
        # The parser gives `x++` a 1 at the operator's own place.
        if s.value.pos == s.pos and ty not in (I32, U32):
            sign = s.op[0]
            self.fail(f"{sign}{sign} needs i32 or u32, got {ty}", s, f"write {sign}= 1", 2)
        found = operators.binary_type(s.op[:-1], ty, value)
        if found is None or found[0] != ty or found[2] != ty:
            fake = ast.Binary(s.pos, s.op[:-1], s.target, s.value)
            self._binary_failed(fake, ty, value)
        self.convert(s.value, U32 if found[1] == U32 else found[1], f"the right side of {s.op}")
        if (
            s.op in ("/=", "%=")
            and s.value.const is not None
            and not s.value.const.all()
            and found[1] in (I32, U32)
        ):
            self.fail("this divides by zero", s.value)

    def _must_be_writable(self, e: ast.Expr) -> None:
        where = self.place(e)
        if where is not None:
            if where[2] == "read":
                self.fail(
                    "this buffer can only be read",
                    e,
                    "declare it var<storage, read_write>"
                    if where[1] == "storage"
                    else "write to another variable",
                )
            return
        root = e
        while isinstance(root, (ast.Index, ast.Member)):
            if isinstance(root, ast.Member) and len(root.name) > 1 and isinstance(root.base.ty, Vec):
                self.fail(
                    "several components cannot be assigned at once",
                    e,
                    "assign them one by one: v.x = ...; v.y = ...;",
                )
            root = root.base
        if isinstance(root, ast.Ident) and isinstance(root.decl, ast.Decl):
            kind = {"param": "a parameter"}.get(root.decl.kind, root.decl.kind)
            help = f"declare it with var, or copy it: var {root.name}_copy = {root.name};"
            self.fail(f"{root.name} is {kind} and cannot be changed", e, help)
        self.fail("this cannot be assigned", e)

    def _if(self, s: ast.If) -> set[str]:
        self.condition(s.condition, "if")
        ends = self.block(s.then)
        return ends | (self.statement(s.orelse) if s.orelse is not None else {NEXT})

    def _loop(self, s: ast.Loop) -> set[str]:
        self.scopes.append({})
        if s.init is not None:
            self.statement(s.init)
        if s.condition is not None:
            self.condition(s.condition, s.kind)
        if s.update is not None:
            if isinstance(s.update, ast.Decl):
                self.fail("the last part of for cannot declare a variable", s.update)
            self.statement(s.update)
        self.jumps.append(("loop", s))
        self.scopes.append({})
        ends = self.block(s.body, new_scope=False)
        if s.continuing is not None:
            self.jumps.append(("continuing", s))
            self.scopes.append({})
            self.block(s.continuing, new_scope=False)
            if s.break_if is not None:
                self.condition(s.break_if, "break if")
            self.scopes.pop()
            self.jumps.pop()
        self.scopes.pop()
        self.jumps.pop()
        self.scopes.pop()
        can_leave = BREAK in ends or s.condition is not None or s.break_if is not None
        if not can_leave and RETURN not in ends:
            self.fail(
                f"this {s.kind} never ends",
                s,
                "give it a condition or a break",
                len(s.kind),
            )
        return ({NEXT} if can_leave else set()) | ({RETURN} & ends)

    def _switch(self, s: ast.Switch) -> set[str]:
        self.value(s.value)
        ty = self.concretize(s.value)
        if ty not in (I32, U32):
            self.fail(f"a switch needs i32 or u32, got {ty}", s.value)
        seen: set[int] = set()
        defaults = 0
        ends: set[str] = set()
        for case in s.cases:
            for selector in case.selectors:
                if selector is None:
                    defaults += 1
                    continue
                self.value(selector)
                self.convert(selector, ty, "a case")
                if selector.const is None or selector.stage != CONST:
                    self.fail("a case needs a constant", selector)
                if int(selector.const) in seen:
                    self.fail(f"case {int(selector.const)} appears twice", selector)
                seen.add(int(selector.const))
            self.jumps.append(("switch", s))
            ends |= self.block(case.body)
            self.jumps.pop()
        if defaults != 1:
            self.fail(
                f"a switch needs one default clause, got {defaults}",
                s,
                "add default: {}",
                len("switch"),
            )
        return (ends - {BREAK}) | ({NEXT} if BREAK in ends else set())

    def _jump(self, s: ast.Jump) -> set[str]:
        kinds = [k for k, _ in self.jumps]
        if s.kind == "break":
            if not kinds or kinds[-1] == "continuing":
                self.fail("break is only allowed inside a loop or a switch", s)
            return {BREAK}
        inside = [k for k in kinds if k != "switch"]
        if not inside or inside[-1] == "continuing":
            self.fail("continue is only allowed inside a loop", s)
        return {CONTINUE}

    def _return(self, s: ast.Return) -> set[str]:
        f = self.function
        assert f is not None
        if any(k == "continuing" for k, _ in self.jumps):
            self.fail("return is not allowed in continuing", s)
        if s.value is None:
            if f.ret is not None:
                self.fail(f"{f.name} must return {f.ret}", s, "", len("return"))
        else:
            if f.ret is None:
                self.fail(
                    f"{f.name} returns nothing",
                    s.value,
                    f"write fn {f.name}(...) -> type",
                )
            self.value(s.value)
            self.convert(s.value, f.ret, f"the result of {f.name}")
        return {RETURN}

    def _call_statement(self, s: ast.CallStmt) -> None:
        ty = self.expr(s.call)
        name = s.call.callee.name
        effects = s.call.how == "function" or name.startswith("atomic") or "arrier" in name
        if ty is not None and not effects and name != "workgroupUniformLoad":
            self.fail(f"the result of {name} is not used", s, "assign it, or write _ = ...")
