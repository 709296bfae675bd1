"""Rules of function signatures and entry points."""

from __future__ import annotations

from dataclasses import dataclass

from gradschool.wgsl import ast, constants
from gradschool.wgsl.check_stmt import StatementChecker
from gradschool.wgsl.scope import is_constructible
from gradschool.wgsl.types import I32, U32, Ptr, Struct, Type, Vec, round_up, size_of

BUILTIN_INPUTS = {
    "local_invocation_id": Vec(3, U32),
    "local_invocation_index": U32,
    "global_invocation_id": Vec(3, U32),
    "workgroup_id": Vec(3, U32),
    "num_workgroups": Vec(3, U32),
    "subgroup_size": U32,
    "subgroup_invocation_id": U32,
}
MAX_INVOCATIONS = 256
MAX_WORKGROUP_BYTES = 16384


@dataclass(slots=True)
class Entry:
    """What the checker knows of an entry point."""

    name: str
    workgroup_size: tuple[int, int, int]
    inputs: list


class EntryChecker(StatementChecker):
    """Checks what stands before a function's body."""

    def attribute_number(self, a: ast.Attribute) -> int:
        """Value of an attribute's one argument."""
        if len(a.args) != 1:
            self.fail(f"@{a.name} takes one number", a)
        ty = self.expr(a.args[0])
        if a.args[0].const is None or ty not in (I32, U32, constants.AINT):
            self.fail(f"@{a.name} needs a constant integer", a.args[0])
        return int(a.args[0].const)

    def signature(self, decl: ast.Function) -> None:
        """Resolve parameters, result and attributes of a function once."""
        if decl.entry is not None or (decl.params and decl.params[0].ty is not None) or decl.ret is not None:
            return
        scopes, self.scopes = self.scopes, []
        for p in decl.params:
            p.ty = self.resolve(p.type_expr)
            if not (is_constructible(p.ty) or isinstance(p.ty, Ptr)):
                self.fail(f"a parameter cannot be {p.ty}", p, "pass a pointer to it")
        if decl.return_type is not None:
            decl.ret = self.resolve(decl.return_type)
            if not is_constructible(decl.ret):
                self.fail(f"a function cannot return {decl.ret}", decl.return_type)
        self._attributes(decl)
        self.scopes = scopes

    def _attributes(self, decl: ast.Function) -> None:
        size: tuple[int, int, int] | None = None
        compute = False
        for a in decl.attributes:
            if a.name in ("vertex", "fragment"):
                self.fail(f"@{a.name} shaders are not supported", a, "write @compute")
            elif a.name == "compute":
                compute = True
            elif a.name == "workgroup_size":
                size = self._workgroup_size(a)
            elif a.name not in ("must_use", "diagnostic"):
                self.fail(f"a function has no attribute @{a.name}", a)
        if not compute:
            if size is not None:
                self.fail(
                    f"{decl.name} has @workgroup_size without @compute",
                    decl,
                    "write @compute before it",
                )
            for p in decl.params:
                if p.attributes:
                    self.fail(
                        f"only entry points take built-in values; {decl.name} is not one",
                        p,
                        "add @compute",
                    )
            return
        if size is None:
            self.fail(
                f"entry point {decl.name} needs @workgroup_size",
                decl,
                "write @workgroup_size(64)",
            )
        if decl.ret is not None:
            self.fail(
                "a compute entry point returns nothing",
                decl,
                "write results to a storage buffer",
            )
        decl.entry = Entry(decl.name, size, [self._input(p, p.ty, p.attributes) for p in decl.params])

    def _workgroup_size(self, a: ast.Attribute) -> tuple[int, int, int]:
        if not 1 <= len(a.args) <= 3:
            self.fail("@workgroup_size takes one to three numbers", a)
        sizes = []
        for e in a.args:
            if self.expr(e) not in (I32, U32, constants.AINT) or e.const is None:
                self.fail("@workgroup_size needs constant integers", e)
            if int(e.const) < 1:
                self.fail(f"a workgroup size must be at least 1, got {int(e.const)}", e)
            sizes.append(int(e.const))
        x, y, z = (*sizes, 1, 1)[:3]
        if x * y * z > MAX_INVOCATIONS or z > 64:
            self.fail(
                f"a workgroup of {x} x {y} x {z} has {x * y * z} invocations; WebGPU guarantees {MAX_INVOCATIONS}, and 64 in z",
                a,
                "use a smaller workgroup and let each invocation do more",
            )
        return x, y, z

    def _input(self, p, ty: Type, attributes: list[ast.Attribute]):
        names = [a for a in attributes if a.name == "builtin"]
        if isinstance(ty, Struct) and not names:
            return [self._input_field(f) for f in self.globals[ty.name].fields]
        if len(names) != 1:
            self.fail(
                f"parameter {p.name} of an entry point needs @builtin(...)",
                p,
                "for example @builtin(global_invocation_id)",
            )
        return self._builtin_name(names[0], p, ty)

    def _input_field(self, f: ast.FieldDecl) -> str:
        names = [a for a in f.attributes if a.name == "builtin"]
        if len(names) != 1:
            self.fail(f"member {f.name} of an entry point's struct needs @builtin(...)", f)
        return self._builtin_name(names[0], f, self.resolve(f.type_expr))

    def _builtin_name(self, a: ast.Attribute, p, ty: Type) -> str:
        word = a.args[0].name if len(a.args) == 1 and isinstance(a.args[0], ast.Ident) else ""
        if word not in BUILTIN_INPUTS:
            self.fail(
                f"{word or 'this'} is not a built-in value of compute shaders",
                a,
                ", ".join(BUILTIN_INPUTS),
            )
        if word.startswith("subgroup") and "subgroups" not in self.unit.enables:
            self.fail(f"{word} needs subgroups", a, "write `enable subgroups;` as the first line")
        if ty != BUILTIN_INPUTS[word]:
            self.fail(f"{word} is {BUILTIN_INPUTS[word]}, not {ty}", p)
        return word

    def entry_rules(self, f: ast.Function) -> None:
        """Check bindings and workgroup memory of an entry point."""
        seen: dict[tuple[int, int], ast.Decl] = {}
        for d in f.uses:
            if d.space in ("uniform", "storage"):
                other = seen.setdefault((d.group, d.binding), d)
                if other is not d:
                    self.fail(
                        f"{d.name} and {other.name} share @group({d.group}) @binding({d.binding})",
                        d,
                    )
        total = sum(round_up(16, size_of(d.ty)) for d in f.uses if d.space == "workgroup")
        if total > MAX_WORKGROUP_BYTES:
            self.fail(
                f"{f.name} uses {total} bytes of workgroup memory; WebGPU guarantees {MAX_WORKGROUP_BYTES}",
                f,
            )
