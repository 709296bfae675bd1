"""What the checkers share: names, errors and the types a source spells."""

from __future__ import annotations

import difflib
from typing import Any, NoReturn

from gradschool.wgsl import ast, signatures
from gradschool.wgsl.errors import Source, WgslError
from gradschool.wgsl.types import (
    BOOL,
    F16,
    SCALARS,
    Array,
    Atomic,
    Mat,
    Ptr,
    Scalar,
    Type,
    Vec,
    contains,
    is_abstract,
    is_runtime_sized,
    parts_of,
    size_of,
)

MAX_ARRAY = 1 << 24
MAX_TYPE_BYTES = 1 << 28
MAX_COPY_BYTES = 1 << 14
MAX_MEMBERS = 256
SHORT = {
    f"vec{n}{s}": Vec(n, SCALARS[t])
    for n in (2, 3, 4)
    for s, t in zip("fiuh", ("f32", "i32", "u32", "f16"), strict=True)
}
SHORT |= {
    f"mat{c}x{r}{s}": Mat(c, r, SCALARS[t])
    for c in (2, 3, 4)
    for r in (2, 3, 4)
    for s, t in zip("fh", ("f32", "f16"), strict=True)
}
SPACES = ("function", "private", "workgroup", "uniform", "storage")


class Scope:
    """Name look-up, type spelling and error reports; the base of the checkers."""

    def __init__(self, source: Source, unit: ast.Unit, overrides: dict[str, float]) -> None:
        self.source = source
        self.unit = unit
        self.overrides = overrides
        self.globals: dict[str, Any] = {}
        self.scopes: list[dict[str, ast.Decl]] = []
        self.function: ast.Function | None = None
        self.resolving: set[int] = set()

    def fail(self, message: str, at: Any, help: str = "", length: int | None = None) -> NoReturn:
        """Raise the error that points at a node."""
        raise self.error(message, at, help, length)

    def error(self, message: str, at: Any, help: str = "", length: int | None = None) -> WgslError:
        """The error that points at a node or offset."""
        pos = at if isinstance(at, int) else at.pos
        return self.source.error(message, pos, help, length)

    def lookup(self, name: str) -> Any:
        """Declaration of a name, innermost first, or None."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return self.globals.get(name)

    def declare(self, decl: ast.Decl) -> None:
        """Add a name to the innermost block."""
        if decl.name in self.scopes[-1]:
            self.fail(
                f"{decl.name} is already declared in this block",
                decl,
                "choose another name",
            )
        self.scopes[-1][decl.name] = decl

    def unknown(self, name: str, at: Any) -> NoReturn:
        """Fail with a suggestion for a name that nothing declares."""
        known = [
            *self.globals,
            *signatures.BUILTINS,
            *signatures.SPECIAL,
            *SHORT,
            *SCALARS,
        ]
        for scope in self.scopes:
            known += scope
        close = difflib.get_close_matches(name, known, 1)
        self.fail(
            f"nothing is called {name} here",
            at,
            f"did you mean {close[0]}?" if close else "",
        )

    # Types.

    def resolve(self, e: ast.Expr | None) -> Type:
        """Type that a type expression spells."""
        if not isinstance(e, ast.Ident):
            assert e is not None
            self.fail("expected a type", e)
        found = self.type_named(e)
        if found is None:
            decl = self.lookup(e.name)
            if decl is None:
                self.unknown(e.name, e)
            self.fail(f"{e.name} is not a type", e)
        return found

    def type_named(self, e: ast.Ident) -> Type | None:
        """Type of a name with its template arguments, or None if the name is not a type."""
        decl = self.lookup(e.name)
        if isinstance(decl, ast.Alias):
            if decl.ty is None:
                self._guard(decl, lambda: setattr(decl, "ty", self.resolve(decl.type_expr)))
            return decl.ty
        if isinstance(decl, ast.StructDecl):
            if decl.ty is None:
                self._guard(decl, lambda: self.struct_type(decl))
            return decl.ty
        if decl is not None:
            return None
        if e.name in SCALARS:
            return self._f16(SCALARS[e.name], e)
        if e.name in SHORT:
            return self._f16(SHORT[e.name], e)
        return self._templated(e)

    def _f16(self, ty: Type, e: ast.Expr) -> Type:
        if "f16" not in self.unit.enables and contains(ty, F16):
            self.fail("f16 is not enabled", e, "write `enable f16;` as the first line")
        return ty

    def _guard(self, decl: Any, work) -> None:
        if id(decl) in self.resolving:
            self.fail(f"{decl.name} is defined by itself", decl, "break the circle")
        self.resolving.add(id(decl))
        work()
        self.resolving.discard(id(decl))

    def _templated(self, e: ast.Ident) -> Type | None:
        name, args = e.name, e.targs
        if name[:3] in ("vec", "mat") and name in self._shapes():
            if not args or len(args) != 1:
                self.fail(
                    f"{name} needs its component type here",
                    e,
                    f"write {name}<f32> or {name}f",
                )
            el = self.resolve(args[0])
            if not isinstance(el, Scalar) or (name[0] == "m" and el.name not in ("f32", "f16")):
                self.fail(f"{name} cannot hold {el}", args[0])
            return self.shaped(name, el)
        if name == "array":
            return self._array(e)
        if name == "atomic":
            el = self.resolve(args[0]) if args and len(args) == 1 else None
            if not isinstance(el, Scalar) or el.name not in ("i32", "u32"):
                self.fail("atomic needs i32 or u32", e, "write atomic<u32>")
            return Atomic(el)
        if name == "ptr":
            return self._pointer(e)
        return None

    @staticmethod
    def _shapes() -> frozenset[str]:
        return _SHAPES

    @staticmethod
    def shaped(name: str, el: Scalar) -> Type:
        """`vec3` or `mat2x3` with a component type."""
        if name[0] == "v":
            return Vec(int(name[3]), el)
        return Mat(int(name[3]), int(name[5]), el)

    def _array(self, e: ast.Ident) -> Type:
        if not e.targs or len(e.targs) > 2:
            self.fail(
                "array needs its element type",
                e,
                "write array<f32, 64>, or array<f32> in a storage buffer",
            )
        el = self.resolve(e.targs[0])
        if isinstance(el, Ptr) or is_runtime_sized(el):
            self.fail(f"an array cannot hold {el}", e.targs[0])
        if len(e.targs) == 1:
            return Array(el, None)
        return self.limited(Array(el, self.array_count(e.targs[1])), e)

    def limited(self, ty: Type, at: Any) -> Type:
        """A type whose size the interpreter accepts."""
        if size_of(ty) > MAX_TYPE_BYTES:
            self.fail(f"{ty} takes {size_of(ty)} bytes; the limit is {MAX_TYPE_BYTES}", at)
        return ty

    def array_count(self, e: ast.Expr) -> int:
        """Number of elements from a constant expression."""
        ty = self.expr(e)
        if e.const is None or not isinstance(ty, Scalar) or ty.name not in ("i32", "u32", "aint"):
            self.fail(
                "the size of an array must be a constant integer",
                e,
                "declare it with const or override",
            )
        count = int(e.const)
        if count < 1:
            self.fail(f"an array needs at least one element, got {count}", e)
        if count > MAX_ARRAY:
            self.fail(
                f"an array of {count} elements is more than the interpreter allows ({MAX_ARRAY})",
                e,
            )
        return count

    def _pointer(self, e: ast.Ident) -> Type:
        args = e.targs or []
        words = [a.name if isinstance(a, ast.Ident) else "" for a in args]
        if len(args) not in (2, 3) or words[0] not in SPACES:
            self.fail(
                "a pointer type needs an address space and a type",
                e,
                "write ptr<function, f32>",
            )
        access = (
            words[2] if len(args) == 3 else ("read" if words[0] in ("storage", "uniform") else "read_write")
        )
        if access not in ("read", "write", "read_write"):
            self.fail(f"{access} is not an access mode", args[2], "use read or read_write")
        return Ptr(words[0], self.resolve(args[1]), access)

    def expr(self, e: ast.Expr) -> Type:
        """Type of an expression; the expression checker overrides it."""
        raise NotImplementedError

    def struct_type(self, decl: ast.StructDecl) -> None:
        """Lay out a struct; the module checker overrides it."""
        raise NotImplementedError


_SHAPES = frozenset([f"vec{n}" for n in (2, 3, 4)] + [f"mat{c}x{r}" for c in (2, 3, 4) for r in (2, 3, 4)])


def is_constructible(ty: Type | None) -> bool:
    """Whether values of a type can be made, copied and passed."""
    return ty is not None and not parts_of(ty) & {Ptr, Atomic, "runtime"} and not is_abstract(ty)


def is_host_shareable(ty: Type) -> bool:
    """Whether a type can be in a buffer: no booleans, no pointers."""
    return not contains(ty, BOOL, Ptr)
