"""Types of expressions, and the values of constant ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradschool.wgsl import ast, constants, operators
from gradschool.wgsl.ast import CONST, RUNTIME
from gradschool.wgsl.constants import ConstantError
from gradschool.wgsl.scope import MAX_COPY_BYTES, Scope, is_constructible
from gradschool.wgsl.types import (
    AINT,
    BOOL,
    I32,
    U32,
    Array,
    Mat,
    Ptr,
    Scalar,
    Struct,
    Type,
    Vec,
    contains,
    is_abstract,
    scalar_of,
    size_of,
)

_SWIZZLES = ("xyzw", "rgba")


def swizzle(name: str, n: int) -> list[int] | None:
    """Component numbers of a swizzle on a vector of `n`, or None."""
    for letters in _SWIZZLES:
        if 1 <= len(name) <= 4 and all(c in letters[:n] for c in name):
            return [letters.index(c) for c in name]
    return None


class ExprChecker(Scope):
    """Checks expressions other than calls, which `check_call` adds."""

    def expr(self, e: ast.Expr) -> Type:
        """Check an expression and return its type."""
        try:
            match e:
                case ast.Literal():
                    ty, e.const = constants.literal(e.kind, e.text)
                    e.stage = CONST
                    if ty.name == "f16":
                        self._f16(ty, e)
                case ast.Ident():
                    ty = self._ident(e)
                case ast.Unary():
                    ty = self._unary(e)
                case ast.Binary():
                    ty = self._binary(e)
                case ast.Index():
                    ty = self._index(e)
                case ast.Member():
                    ty = self._member(e)
                case ast.Call():
                    ty = self.call(e)
                case _:
                    raise AssertionError(e)
        except ConstantError as error:
            raise self.error(str(error), e) from None
        e.ty = ty
        return ty

    def call(self, e: ast.Call) -> Type:
        """Check a call; overridden."""
        raise NotImplementedError

    def value(self, e: ast.Expr) -> Type:
        """Check an expression whose value is used."""
        ty = self.expr(e)
        if isinstance(ty, (Scalar, Vec, Mat, Ptr)) or is_abstract(ty):
            return ty
        if is_constructible(ty):
            if size_of(ty) > MAX_COPY_BYTES:
                self.fail(
                    f"a value of {size_of(ty)} bytes is too large to copy",
                    e,
                    "copy its elements in a loop",
                )
            return ty
        if ty is None:
            self.fail("this function returns nothing", e)
        if contains(ty, Array) and isinstance(ty, Array) and ty.count is None:
            self.fail("a runtime-sized array cannot be copied", e, "index it: x[i]")
        self.fail(f"a value of type {ty} cannot be read like this", e, "use atomicLoad(&x)")

    def convert(self, e: ast.Expr, to: Type, what: str) -> None:
        """Make an expression a type, or fail: only abstract constants change type by themselves."""
        ty = e.ty
        assert ty is not None
        if ty == to:
            return
        if not constants.can_convert(ty, to):
            help = ""
            if (
                isinstance(ty, (Scalar, Vec))
                and isinstance(to, (Scalar, Vec))
                and scalar_of(ty) != scalar_of(to)
            ):
                same_shape = type(ty) is type(to) and (isinstance(ty, Scalar) or ty.n == getattr(to, "n", 0))
                spelled = f"{to}(...)" if not is_abstract(to) else ""
                help = f"WGSL never converts by itself: write {spelled}" if same_shape and spelled else ""
            self.fail(f"{what} must be {to}, got {ty}", e, help)
        try:
            e.const = constants.convert(e.const, ty, to)
        except ConstantError as error:
            raise self.error(str(error), e) from None
        e.ty = to

    def concretize(self, e: ast.Expr) -> Type:
        """Give an abstract expression its default type."""
        assert e.ty is not None
        if is_abstract(e.ty):
            self.convert(e, operators.concrete(e.ty), "this")
        return e.ty

    def fold(self, e: ast.Expr, operands: list[ast.Expr], code: str, ty: Type) -> None:
        """Evaluate an expression whose operands are all constant; `code` names them a, b, c, ..."""
        if any(o.const is None for o in operands):
            return
        names = {chr(97 + k): o.const for k, o in enumerate(operands)}
        e.const = constants.evaluate(code, **names)
        e.stage = max((o.stage for o in operands), default=CONST)
        constants.check_finite(e.const, ty)

    def place(self, e: ast.Expr) -> tuple[ast.Decl | None, str, str] | None:
        """Root, address space and access of an expression that denotes memory; None for a plain value."""
        if isinstance(e, ast.Ident) and isinstance(e.decl, ast.Decl) and e.decl.kind == "var":
            return e.decl, e.decl.space, e.decl.access
        if isinstance(e, ast.Unary) and e.op == "*" and isinstance(e.operand.ty, Ptr):
            return None, e.operand.ty.space, e.operand.ty.access
        if isinstance(e, (ast.Index, ast.Member)):
            base = e.base
            if isinstance(base.ty, Ptr):
                return None, base.ty.space, base.ty.access
            if isinstance(e, ast.Member) and isinstance(base.ty, Vec) and len(e.name) > 1:
                return None
            return self.place(base)
        return None

    # The kinds of expression.

    def _ident(self, e: ast.Ident) -> Type:
        decl = self.lookup(e.name)
        if isinstance(decl, ast.Function):
            self.fail(f"{e.name} is a function: call it with ()", e)
        if not isinstance(decl, ast.Decl):
            if decl is not None or e.targs or self.type_named(e) is not None:
                self.fail(f"{e.name} is a type, not a value", e)
            self.unknown(e.name, e)
        e.decl = decl
        if decl.is_global:
            self.global_decl(decl)
            if decl.kind == "var":
                if self.function is None:
                    self.fail(f"{e.name} is a variable and has no value before the run", e)
                if decl not in self.function.uses:
                    self.function.uses.append(decl)
        e.const, e.stage = decl.const, decl.stage
        return decl.ty

    def global_decl(self, d: ast.Decl) -> None:
        """Check a module-scope declaration before it is used; overridden."""
        raise NotImplementedError

    def _unary(self, e: ast.Unary) -> Type:
        if e.op == "&":
            return self._address(e)
        ty = self.value(e.operand)
        if e.op == "*":
            if not isinstance(ty, Ptr):
                self.fail(f"* needs a pointer, got {ty}", e)
            return ty.to
        result = operators.unary_type(e.op, ty)
        if result is None:
            help = (
                "u32 has no negative numbers: convert with i32(x)"
                if e.op == "-" and scalar_of(ty) == U32
                else ""
            )
            self.fail(f"{e.op} cannot be applied to {ty}", e, help, 1)
        if e.operand.const is not None and e.op == "-" and scalar_of(ty) in (I32, AINT):
            constants.check_integer("-", ty, e.operand.const.dtype.type(0), e.operand.const)
        self.fold(e, [e.operand], operators.unary_code(e.op, "a"), result)
        return result

    def _address(self, e: ast.Unary) -> Type:
        ty = self.expr(e.operand)
        where = self.place(e.operand)
        if where is None:
            self.fail("& needs a variable", e, "a let or a value has no address; use var")
        inner = e.operand
        if isinstance(inner, (ast.Member, ast.Index)):
            base = inner.base.ty.to if isinstance(inner.base.ty, Ptr) else inner.base.ty
            if isinstance(base, Vec):
                self.fail(
                    "a component of a vector has no address",
                    e,
                    "copy it to a variable first",
                    1,
                )
        decl, space, access = where
        if decl is not None:
            decl.address_taken = True
        return Ptr(space, ty, access)

    def _binary(self, e: ast.Binary) -> Type:
        left, right = self.value(e.left), self.value(e.right)
        found = operators.binary_type(e.op, left, right)
        if found is None:
            self._binary_failed(e, left, right)
        lt, rt, result = found
        if e.left.const is None and is_abstract(rt) and e.op in ("<<", ">>"):
            rt = U32
        if is_abstract(lt) and e.op in ("<<", ">>") and e.right.const is None:
            lt = result = operators.concrete(lt)
        self.convert(e.left, lt, f"the left side of {e.op}")
        self.convert(e.right, rt, f"the right side of {e.op}")
        if e.right.const is not None and e.op in ("<<", ">>"):
            constants.check_shift(e.op, lt, e.left.const, e.right.const)
        if e.left.const is not None and e.right.const is not None:
            constants.check_integer(e.op, lt, e.left.const, e.right.const)
        elif e.right.const is not None and e.op in ("/", "%"):
            if scalar_of(rt) in (I32, U32) and not np.all(e.right.const):
                self.fail("this divides by zero", e, length=1)
        if e.op in ("&&", "||") and e.left.const is not None and bool(e.left.const) == (e.op == "||"):
            e.const, e.stage = e.left.const, max(e.left.stage, CONST)
            return BOOL
        self.fold(e, [e.left, e.right], operators.binary_code(e.op, lt, rt, "a", "b"), result)
        return result

    def _binary_failed(self, e: ast.Binary, left: Type, right: Type):
        a, b = scalar_of(left), scalar_of(right)
        help = ""
        if e.op in ("<<", ">>") and b == I32:
            help = "the amount of a shift is u32: write u32(...)"
        elif a is not None and b is not None and a != b and BOOL not in (a, b):
            help = f"WGSL never converts by itself: write {a}(...) around the right side, or {b}(...) around the left"
            if is_abstract(a) or is_abstract(b):
                help = "write whole numbers without a point next to i32 and u32"
        elif e.op in ("&&", "||"):
            help = f"{e.op} joins conditions; for bits use {e.op[0]}"
        self.fail(f"{e.op} cannot join {left} and {right}", e, help, len(e.op))

    def _index(self, e: ast.Index) -> Type:
        base = self.expr(e.base)
        if isinstance(base, Ptr):
            base = base.to
        index = self.value(e.index)
        if not isinstance(index, Scalar) or index.name not in ("i32", "u32", "aint"):
            self.fail(
                f"an index must be i32 or u32, got {index}",
                e.index,
                "convert it: u32(...)",
            )
        self.concretize(e.index)
        if isinstance(base, Vec):
            size, ty = base.n, base.el
        elif isinstance(base, Mat):
            size, ty = base.cols, Vec(base.rows, base.el)
        elif isinstance(base, Array):
            size, ty = base.count, base.el
        else:
            self.fail(f"{base} cannot be indexed", e.base)
        if e.index.const is not None:
            position = int(e.index.const)
            if position < 0 or (size is not None and position >= size):
                self.fail(
                    f"index {position} is outside {base}, which has {size} elements",
                    e.index,
                )
            if e.base.const is not None:
                found = e.base.const[position]
                e.const = found[0] if isinstance(ty, Scalar) and not isinstance(base, Array) else found
                e.stage = max(e.base.stage, e.index.stage)
        elif is_abstract(ty):
            self.concretize(e.base)
            ty = operators.concrete(ty)
        return ty

    def _member(self, e: ast.Member) -> Type:
        base = self.expr(e.base)
        if isinstance(base, Ptr):
            base = base.to
        if isinstance(base, Struct):
            field = base.field(e.name)
            if field is None:
                names = ", ".join(f.name for f in base.fields)
                self.fail(f"{base} has no member {e.name}", e.name_pos, f"it has {names}")
            if e.base.const is not None:
                e.const, e.stage = e.base.const[base.fields.index(field)], e.base.stage
            return field.type
        if not isinstance(base, Vec):
            self.fail(f"{base} has no members", e.name_pos)
        picks = swizzle(e.name, base.n)
        if picks is None:
            self.fail(
                f"vec{base.n} has no component {e.name}",
                e.name_pos,
                f"it has {', '.join('xyzw'[: base.n])}",
            )
        if e.base.const is not None:
            e.const = e.base.const[picks[0], 0] if len(picks) == 1 else e.base.const[picks]
            e.stage = e.base.stage
        return base.el if len(picks) == 1 else Vec(len(picks), base.el)


def runtime(e: ast.Expr) -> Any:
    """Forget a constant value, so that the expression is evaluated by the run."""
    e.const, e.stage = None, RUNTIME
    return e
