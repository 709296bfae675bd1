"""Calls: functions of the source, built-in functions, and value constructors."""

from __future__ import annotations

from gradschool.wgsl import ast, constants, operators, signatures
from gradschool.wgsl.ast import CONST
from gradschool.wgsl.check_expr import ExprChecker
from gradschool.wgsl.scope import MAX_COPY_BYTES, is_constructible
from gradschool.wgsl.types import (
    AFLOAT,
    AINT,
    I32,
    U32,
    Array,
    Mat,
    Ptr,
    Scalar,
    Struct,
    Type,
    Vec,
    is_abstract,
    scalar_of,
    size_of,
    with_scalar,
)


class CallChecker(ExprChecker):
    """Checks calls."""

    def call(self, e: ast.Call) -> Type:
        """Check a call; its type is None when a function returns nothing."""
        name = e.callee.name
        decl = self.lookup(name)
        if isinstance(decl, ast.Function):
            return self._function_call(e, decl)
        if decl is None and name in signatures.SPECIAL:
            e.how, e.target = "builtin", name
            return self.special(e, name)
        if decl is None and name in signatures.BUILTINS:
            e.how, e.target = "builtin", name
            return self._builtin(e, name)
        if isinstance(decl, ast.Decl):
            self.fail(f"{name} is a variable and cannot be called", e)
        e.how = "construct"
        if e.callee.targs is None and decl is None and (name in self._shapes() or name == "array"):
            return self._inferred(e, name)
        ty = self.type_named(e.callee)
        if ty is None:
            self.unknown(name, e)
        return self._construct(e, ty)

    def _function_call(self, e: ast.Call, decl: ast.Function) -> Type:
        self.signature(decl)
        if decl.entry is not None:
            self.fail(f"{decl.name} is an entry point and cannot be called", e)
        if len(e.args) != len(decl.params):
            self.fail(f"{decl.name} takes {len(decl.params)} arguments, got {len(e.args)}", e)
        for arg, param in zip(e.args, decl.params, strict=True):
            self.value(arg)
            self.convert(arg, param.ty, f"argument {param.name} of {decl.name}")
            if isinstance(param.ty, Ptr) and not _whole(arg):
                self.fail(
                    "a pointer argument must point to a whole variable",
                    arg,
                    "pass & of the variable and the index beside it (drivers crash on pointers to parts)",
                )
        e.how, e.target = "function", decl
        if self.function is None:
            self.fail("a function cannot be called in a constant expression", e)
        self.function.calls.append((decl, e))
        return decl.ret

    def signature(self, decl: ast.Function) -> None:
        """Resolve a function's types before its body; overridden."""
        raise NotImplementedError

    # Built-in functions.

    def special(self, e: ast.Call, name: str) -> Type:
        """Check an atomic, barrier or other function with rules of its own; overridden."""
        raise NotImplementedError

    def _builtin(self, e: ast.Call, name: str) -> Type:
        types = [self.value(a) for a in e.args]
        candidates = signatures.BUILTINS[name]
        counts = {len(p.split()) for _, p, _ in candidates}
        if len(types) not in counts:
            wanted = " or ".join(str(c) for c in sorted(counts))
            self.fail(
                f"{name} takes {wanted} argument{'s' if wanted != '1' else ''}, got {len(types)}",
                e,
            )
        for signature in candidates:
            result = self._match(e, signature)
            if result is not None:
                ordered = ", ".join(chr(97 + k) for k in range(len(e.args)))
                self.fold(e, e.args, f"b_{name}({ordered})", result)
                return result
        spelled = ", ".join(str(t) for t in types)
        scalars = {scalar_of(t) for t in types}
        help = ""
        if name in ("max", "min", "clamp", "pow", "mix", "fma", "step") and len(scalars) > 1:
            help = "all arguments must have one type: convert with f32(...), i32(...) or u32(...)"
        elif scalars <= {I32, U32, AINT} and candidates[0][0].startswith("float"):
            help = f"{name} works on floats: write {name}(f32(x))"
        elif name == "select":
            help = "it is select(if_false, if_true, condition)"
        self.fail(f"{name} does not take ({spelled})", e, help)

    def _match(self, e: ast.Call, signature: signatures.Signature) -> Type | None:
        kind, params, result = signature
        words = params.split()
        t: Type | None = None
        if kind:
            shape = next(a.ty for a, w in zip(e.args, words, strict=True) if w == "T")
            el = scalar_of(shape)
            assert shape is not None
            for a, w in zip(e.args, words, strict=True):
                other = scalar_of(a.ty)
                if w not in ("T", "E"):
                    continue
                if el is None or other is None:
                    return None
                el = operators.common_scalar(el, other)
            if el is None:
                return None
            if kind.startswith("float") and el is AINT:
                el = AFLOAT
            if kind == "integer" and el is AINT:
                el = I32
            t = with_scalar(shape, el)
            if is_abstract(t) and any(a.const is None for a in e.args):
                t = operators.concrete(t)
            if not signatures.class_allows(kind, t):
                return None
        wanted = [signatures.place_type(w, t) for w in words]
        if not all(constants.can_convert(a.ty, w) for a, w in zip(e.args, wanted, strict=True)):
            return None
        for a, w in zip(e.args, wanted, strict=True):
            self.convert(a, w, "this argument")
        return signatures.place_type(result, t)

    # Constructors.

    def _inferred(self, e: ast.Call, name: str) -> Type:
        types = [self.value(a) for a in e.args]
        if name == "array":
            return self._inferred_array(e)
        el: Scalar | None = None
        for ty in types:
            other = scalar_of(ty)
            el = other if el is None else (operators.common_scalar(el, other) if other else None)
            if el is None:
                self.fail(
                    f"{name} needs components of one type, got {', '.join(map(str, types))}",
                    e,
                )
        if el is None:
            if name[0] == "m":
                self.fail(f"{name}() needs its component type", e, f"write {name}f()")
            el = AINT
        if name[0] == "m" and el is AINT:
            el = AFLOAT
        ty = self.shaped(name, el)
        if is_abstract(ty) and any(a.const is None for a in e.args):
            ty = operators.concrete(ty)
        return self._construct(e, ty, checked=True)

    def _inferred_array(self, e: ast.Call) -> Type:
        if not e.args:
            self.fail("array() needs its element type and size", e, "write array<f32, 4>()")
        el: Type | None = e.args[0].ty
        for a in e.args[1:]:
            assert el is not None
            assert a.ty is not None
            if constants.can_convert(el, a.ty):
                el = a.ty
            elif not constants.can_convert(a.ty, el):
                self.fail(f"the elements of an array have one type, got {el} and {a.ty}", a)
        assert el is not None
        if is_abstract(el) and any(a.const is None for a in e.args):
            el = operators.concrete(el)
        return self._construct(e, Array(el, len(e.args)), checked=True)

    def _construct(self, e: ast.Call, ty: Type, checked: bool = False) -> Type:
        e.target = ty
        if not checked:
            for a in e.args:
                self.value(a)
        if not (is_constructible(ty) or is_abstract(ty)):
            self.fail(f"values of type {ty} cannot be made", e)
        if not e.args:
            if size_of(constructible := operators.concrete(ty)) > MAX_COPY_BYTES:
                self.fail(
                    f"a value of {size_of(constructible)} bytes is too large",
                    e,
                    "declare the variable without a value",
                )
            e.const, e.stage = constants.zero(ty), CONST
            return ty
        if isinstance(ty, Scalar):
            self._cast(e, ty)
        elif isinstance(ty, Vec):
            self._vector(e, ty)
        elif isinstance(ty, Mat):
            self._matrix(e, ty)
        else:
            self._aggregate(e, ty)
        return ty

    def _cast(self, e: ast.Call, ty: Scalar) -> None:
        if len(e.args) != 1:
            self.fail(f"{ty}(...) takes one value, got {len(e.args)}", e)
        arg = e.args[0]
        if not isinstance(arg.ty, Scalar):
            self.fail(f"{ty}(...) cannot convert {arg.ty}", e)
        if is_abstract(arg.ty) and constants.can_convert(arg.ty, ty):
            self.convert(arg, ty, "this")
        elif is_abstract(arg.ty):
            self.concretize_for_cast(arg)
        self.fold(e, [arg], operators.convert_code(arg.ty, ty, "a"), ty)

    def concretize_for_cast(self, arg: ast.Expr) -> None:
        """Abstract floats cast to integers keep their precision; abstract integers cast to bool need none."""
        if arg.ty is AFLOAT:
            return
        self.concretize(arg)

    def _vector(self, e: ast.Call, ty: Vec) -> None:
        if len(e.args) == 1:
            arg = e.args[0]
            if isinstance(arg.ty, Vec) and arg.ty.n == ty.n:
                if is_abstract(arg.ty) and constants.can_convert(arg.ty, ty):
                    self.convert(arg, ty, "this")
                elif is_abstract(arg.ty) and arg.ty.el is not AFLOAT:
                    self.concretize(arg)
                assert arg.ty is not None
                self.fold(e, [arg], operators.convert_code(arg.ty, ty, "a"), ty)
                return
            if isinstance(arg.ty, Scalar):
                self.convert(arg, ty.el, f"the value of {ty}")
                self.fold(e, [arg], f"splat({ty.n}, a)", ty)
                return
        total = 0
        for a in e.args:
            n = a.ty.n if isinstance(a.ty, Vec) else 1
            total += n
            self.convert(a, Vec(n, ty.el) if n > 1 else ty.el, f"a component of {ty}")
        if total != ty.n:
            self.fail(f"vec{ty.n} needs {ty.n} components, got {total}", e)
        self.fold(e, e.args, "vec(" + ", ".join(_letters(e.args)) + ")", ty)

    def _matrix(self, e: ast.Call, ty: Mat) -> None:
        args = e.args
        if len(args) == 1 and isinstance(args[0].ty, Mat):
            if (args[0].ty.cols, args[0].ty.rows) != (ty.cols, ty.rows):
                self.fail(f"{ty} cannot be made from {args[0].ty}", e)
            if is_abstract(args[0].ty):
                self.convert(args[0], ty, "this")
            assert args[0].ty is not None
            self.fold(e, args, operators.convert_code(args[0].ty, ty, "a"), ty)
        elif len(args) == ty.cols and isinstance(args[0].ty, Vec):
            for a in args:
                self.convert(a, Vec(ty.rows, ty.el), f"a column of {ty}")
            self.fold(e, args, "mat_of_cols(" + ", ".join(_letters(args)) + ")", ty)
        elif len(args) == ty.cols * ty.rows:
            for a in args:
                self.convert(a, ty.el, f"an element of {ty}")
            self.fold(
                e,
                args,
                f"mat_of_scalars({ty.cols}, {ty.rows}, " + ", ".join(_letters(args)) + ")",
                ty,
            )
        else:
            self.fail(
                f"{ty} needs {ty.cols} columns or {ty.cols * ty.rows} numbers, got {len(args)} values",
                e,
            )

    def _aggregate(self, e: ast.Call, ty: Type) -> None:
        if isinstance(ty, Array):
            wanted: list[Type] = [ty.el] * (ty.count or 0)
        else:
            assert isinstance(ty, Struct)
            wanted = [f.type for f in ty.fields]
        if len(e.args) != len(wanted):
            self.fail(f"{ty} needs {len(wanted)} values, got {len(e.args)}", e)
        for a, w in zip(e.args, wanted, strict=True):
            self.convert(a, w, f"this part of {ty}")
        if all(a.const is not None for a in e.args):
            e.const = tuple(a.const for a in e.args)
            e.stage = max((a.stage for a in e.args), default=CONST)


def _whole(e: ast.Expr) -> bool:
    """Whether a pointer expression points to a whole variable."""
    if isinstance(e, ast.Unary) and e.op == "&":
        return isinstance(e.operand, ast.Ident) or (
            isinstance(e.operand, ast.Unary) and _whole(e.operand.operand)
        )
    if isinstance(e, ast.Ident) and isinstance(e.decl, ast.Decl):
        return e.decl.kind == "param" or (e.decl.init is not None and _whole(e.decl.init))
    return False


def _letters(args: list[ast.Expr]) -> list[str]:
    return [chr(97 + k) for k in range(len(args))]
