"""Python text for expressions."""

from __future__ import annotations

from typing import Any

from gradschool.wgsl import ast, operators, subgroups
from gradschool.wgsl.check_expr import swizzle
from gradschool.wgsl.check_special import bitcast_code
from gradschool.wgsl.emit_refs import RefEmitter
from gradschool.wgsl.types import Array, Atomic, Mat, Ptr, Scalar, Struct, Vec

MAX_TEXT = 160


class ExprEmitter(RefEmitter):
    """Turns typed expressions into Python text, with temporaries for everything that must keep its order."""

    def ex(self, e: ast.Expr) -> str:
        """Text whose value is that of the expression."""
        if e.const is not None:
            return self.const_name(e.const)
        match e:
            case ast.Ident():
                text = self._ident(e)
            case ast.Unary(op="*"):
                return self.load(self.pointer(e.operand), e.pos)
            case ast.Unary():
                self.count_ops(e)
                text = operators.unary_code(e.op, self.ex(e.operand))
            case ast.Binary():
                text = self._binary(e)
            case ast.Index() | ast.Member():
                ref = self.ref(e)
                if ref is not None:
                    return self.load(ref, e.pos)
                text = self._part(e)
            case ast.Call():
                text = self._call(e)
            case _:
                raise AssertionError(e)
        # Nested text stays short, so that Python's own parser never meets its limits.
        return self.temp(text) if len(text) > MAX_TEXT else text

    def _ident(self, e: ast.Ident) -> str:
        ref = self.memory_of(e.decl)
        return self.load(ref, e.pos) if ref is not None else self.local_name(e.decl)

    def _binary(self, e: ast.Binary) -> str:
        assert e.left.ty is not None
        assert e.right.ty is not None
        if e.op in ("&&", "||") and touches_memory(e.right):
            return self._short_circuit(e)
        self.count_ops(e)
        left = self.ex(e.left)
        return operators.binary_code(e.op, e.left.ty, e.right.ty, left, self.ex(e.right))

    def _short_circuit(self, e: ast.Binary) -> str:
        result = self.temp(self.ex(e.left))
        saved = self.temp("m")
        self.out(f"m = keep(m, {result if e.op == '&&' else f'~{result}'})")
        self.out("if m is not False:")
        with self.indented():
            right = self.ex(e.right)
            self.out(f"{result} = {result} {'&' if e.op == '&&' else '|'} {right}")
        self.out(f"m = {saved}")
        return result

    def _part(self, e: ast.Index | ast.Member) -> str:
        base, ty = self.ex(e.base), e.base.ty
        if isinstance(e, ast.Member):
            if isinstance(ty, Struct):
                return f"{base}[{next(k for k, f in enumerate(ty.fields) if f.name == e.name)}]"
            assert isinstance(ty, Vec)
            picks = swizzle(e.name, ty.n)
            assert picks is not None
            if len(picks) == 1:
                return f"comp({base}, {picks[0]})"
            if picks == list(range(picks[0], picks[0] + len(picks))):
                return f"{base}[{picks[0]}:{picks[-1] + 1}]"
            return f"{base}[{picks}]"
        if isinstance(ty, Array):
            if e.index.const is not None:
                return f"{base}[{int(e.index.const)}]"
            return f"at_array({base}, {self.ex(e.index)})"
        if e.index.const is not None:
            k = int(e.index.const)
            return f"comp({base}, {k})" if isinstance(ty, Vec) else f"{base}[{k}]"
        return f"at({base}, {self.ex(e.index)})"

    # Calls.

    def _call(self, e: ast.Call) -> str:
        if e.how == "function":
            return self.temp(self.user_call(e))
        if e.how == "construct":
            return self._construct(e)
        name = e.target
        if name == "bitcast":
            assert e.args[0].ty is not None
            assert e.ty is not None
            return bitcast_code(e.args[0].ty, e.ty, self.ex(e.args[0]))
        if name.startswith("atomic"):
            return self._atomic(e, name)
        if name == "arrayLength":
            ref = self.pointer(e.args[0])
            assert isinstance(ref.ty, Array)
            return f"u32(({ref.root}.size - ({ref.off})) // {ref.layout.stride(ref.ty.el)})"
        if name == "workgroupUniformLoad":
            self.out(f"rt.barrier('workgroup', m, {self.line_of(e.pos)})")
            loaded = self.load(self.pointer(e.args[0]), e.pos)
            self.out(f"rt.barrier('workgroup', m, {self.line_of(e.pos)})")
            return f"rt.uniform_value({loaded}, m)"
        if name in ("workgroupBarrier", "storageBarrier"):
            return f"rt.barrier('{name.removesuffix('Barrier')}', m, {self.line_of(e.pos)})"
        if name in subgroups.OPERATIONS:
            self.count_ops(e)
            value, *extra = [self.ex(a) for a in e.args] or ["False"]
            more = f", {extra[0]}" if extra else ""
            return self.temp(f"rt.subgroup({name!r}, {value}, m, {self.line_of(e.pos)}{more})")
        self.count_ops(e)
        return f"b_{name}({', '.join(self.ex(a) for a in e.args)})"

    def user_call(self, e: ast.Call) -> str:
        """Text of a call to a function of the source."""
        values, refs = [], []
        for a in e.args:
            if isinstance(a.ty, Ptr):
                ref = self.pointer(a)
                refs.append(ref)
                values += [ref.root, ref.off]
            else:
                # Arguments are values at the time of the call, whatever the callee changes.
                values.append(self.ex(a))
        return f"{self.function_name(e.target, refs)}({', '.join(['rt', 'm', *values])})"

    def _construct(self, e: ast.Call) -> str:
        ty = e.target
        if not e.args:
            return self.big_zero(ty)
        args = [self.ex(a) for a in e.args]
        types: list[Any] = [a.ty for a in e.args]
        if isinstance(ty, Scalar):
            return operators.convert_code(types[0], ty, args[0])
        if isinstance(ty, Vec):
            if len(args) == 1:
                if isinstance(types[0], Vec):
                    return operators.convert_code(types[0], ty, args[0])
                return f"splat({ty.n}, {args[0]})"
            return f"vec({', '.join(args)})"
        if isinstance(ty, Mat):
            if len(args) == 1:
                return operators.convert_code(types[0], ty, args[0])
            if isinstance(types[0], Vec):
                return f"mat_of_cols({', '.join(args)})"
            return f"mat_of_scalars({ty.cols}, {ty.rows}, {', '.join(args)})"
        return f"({', '.join(args)},)"

    def _atomic(self, e: ast.Call, name: str, wanted: bool = True) -> str:
        ref = self.pointer(e.args[0])
        assert isinstance(ref.ty, Atomic)
        signed = ref.ty.el.name == "i32"
        op = name.removeprefix("atomic").lower().replace("compareexchangeweak", "cas")
        args = [self.ex(a) for a in e.args[1:]]
        off = ref.off
        value, extra = (args[-1] if args else "None"), ""
        if op == "cas":
            extra = f", {args[0]}"
        code = (
            f"{ref.root}.atomic('{op}', {off}, {value}, m, {self.line_of(e.pos)}, {signed}, {wanted}{extra})"
        )
        return self.temp(code)

    def call_statement(self, e: ast.Call) -> None:
        """Emit a call whose result is not used."""
        if e.how == "builtin" and str(e.target).startswith("atomic"):
            self._atomic(e, e.target, wanted=False)
        elif e.how == "function":
            self.out(self.user_call(e))
        else:
            self.out(self.ex(e))


def touches_memory(e: ast.Expr) -> bool:
    """Whether evaluating an expression may load, store or call, so that idle lanes must be left out."""
    if e.const is not None:
        return False
    match e:
        case ast.Ident():
            return isinstance(e.decl, ast.Decl) and e.decl.kind == "var" and e.decl.is_global
        case ast.Unary():
            return e.op in ("*", "&") or touches_memory(e.operand)
        case ast.Binary():
            return touches_memory(e.left) or touches_memory(e.right)
        case ast.Index():
            return True
        case ast.Member():
            return touches_memory(e.base) or isinstance(e.base.ty, (Ptr, Struct))
        case ast.Call():
            if e.how == "function" or str(e.target).startswith(("atomic", "workgroup", "subgroup", "quad")):
                return True
            return any(touches_memory(a) for a in e.args)
    return False
