"""Rules of module scope: buffers, structs, functions and entry points."""

from __future__ import annotations

from gradschool.wgsl import ast, constants
from gradschool.wgsl.ast import CONST, OVERRIDE
from gradschool.wgsl.check_entry import EntryChecker
from gradschool.wgsl.check_stmt import MAX_PRIVATE_BYTES, NEXT
from gradschool.wgsl.constants import ConstantError
from gradschool.wgsl.scope import MAX_MEMBERS, is_host_shareable
from gradschool.wgsl.types import (
    BOOL,
    Array,
    Atomic,
    Field,
    Ptr,
    Scalar,
    Struct,
    Type,
    align_of,
    contains,
    is_runtime_sized,
    round_up,
    size_of,
)

MAX_CALL_DEPTH = 64


class ModuleChecker(EntryChecker):
    """Checks a whole source."""

    def module(self) -> None:
        """Check every declaration."""
        self.jumps = []
        self.functions: list[ast.Function] = []
        for d in self.unit.decls:
            if isinstance(d, ast.ConstAssert):
                continue
            name = d.name  # type: ignore
            if name in self.globals:
                self.fail(f"{name} is declared twice", d, "choose another name")
            self.globals[name] = d
        for d in self.unit.decls:
            match d:
                case ast.ConstAssert():
                    self.const_assert(d)
                case ast.StructDecl() | ast.Alias():
                    self.type_named(ast.Ident(d.pos, d.name))
                case ast.Decl():
                    self.global_decl(d)
                case ast.Function():
                    self.signature(d)
                    self.functions.append(d)
        for f in self.functions:
            self._body(f)
        self._no_recursion()
        for f in self.functions:
            if f.entry is not None:
                self.entry_rules(f)

    # Structs and variables.

    def struct_type(self, decl: ast.StructDecl) -> None:
        """Lay out a struct."""
        if not decl.fields:
            self.fail(f"struct {decl.name} has no members", decl)
        if len(decl.fields) > MAX_MEMBERS:
            self.fail(
                f"struct {decl.name} has {len(decl.fields)} members; the limit is {MAX_MEMBERS}",
                decl,
            )
        ty = Struct(decl.name)
        offset, align = 0, 1
        for k, f in enumerate(decl.fields):
            member = self.resolve(f.type_expr)
            if isinstance(member, Ptr):
                self.fail("a struct cannot hold a pointer", f)
            if is_runtime_sized(member) and (k != len(decl.fields) - 1 or isinstance(member, Struct)):
                self.fail(
                    "an array without a size must be the last member",
                    f,
                    "give it a size: array<f32, 4>",
                )
            if ty.field(f.name):
                self.fail(f"struct {decl.name} has two members called {f.name}", f)
            size, own = self._member_size(f, member)
            offset = round_up(own, offset)
            ty.fields.append(Field(f.name, member, offset, size))
            offset += size
            align = max(align, own)
        ty.align, ty.size = align, round_up(align, offset)
        self.limited(ty, decl)
        decl.ty = ty

    def _member_size(self, f: ast.FieldDecl, ty: Type) -> tuple[int, int]:
        size, own = size_of(ty), align_of(ty)
        for a in f.attributes:
            if a.name == "builtin":
                continue
            if a.name not in ("align", "size"):
                self.fail(f"a member has no attribute @{a.name} in a compute shader", a)
            n = self.attribute_number(a)
            if a.name == "align":
                if n < own or n & (n - 1):
                    self.fail(f"@align({n}) must be a power of two and at least {own}", a)
                own = n
            else:
                if n < size:
                    self.fail(f"@size({n}) is less than the member's {size} bytes", a)
                size = n
        return size, own

    def global_decl(self, d: ast.Decl) -> None:
        """Check a module-scope variable or constant once."""
        if d.ty is not None:
            return
        function, self.function = self.function, None
        scopes, self.scopes = self.scopes, []
        self._guard(d, lambda: self._global(d))
        self.function, self.scopes = function, scopes

    def _global(self, d: ast.Decl) -> None:
        if d.kind == "var":
            self._global_var(d)
            return
        self.declared_value(d)
        if d.kind == "const":
            if d.const is None or d.stage != CONST:
                self.fail(
                    f"const {d.name} needs a constant expression",
                    d,
                    "a value set later is an override",
                )
            return
        if not isinstance(d.ty, Scalar):
            self.fail(f"an override must be a scalar, got {d.ty}", d)
        if d.name in self.overrides:
            try:
                given = self.overrides[d.name]
                d.const = constants.make(d.ty, bool(given) if d.ty == BOOL else given)
            except ConstantError as error:
                raise self.error(str(error), d) from None
        if d.const is None:
            self.fail(
                f"override {d.name} has no value",
                d,
                "give it a default: override n = 64u;",
            )
        d.stage = OVERRIDE

    def _global_var(self, d: ast.Decl) -> None:
        if not d.space:
            self.fail(
                f"{d.name} needs an address space",
                d,
                "write var<private>, var<workgroup>, var<uniform> or var<storage>",
            )
        if d.space not in ("private", "workgroup", "uniform", "storage"):
            self.fail(f"{d.space} is not an address space for module scope", d)
        if d.access and d.space != "storage":
            self.fail(f"only var<storage> takes an access mode, not var<{d.space}>", d)
        if d.access not in ("", "read", "read_write"):
            self.fail(
                f"{d.access} is not an access mode of a buffer",
                d,
                "use read or read_write",
            )
        d.access = d.access or ("read" if d.space in ("storage", "uniform") else "read_write")
        if d.init is not None and d.space != "private":
            self.fail(
                f"var<{d.space}> cannot have an initial value",
                d,
                "fill it in the kernel, then wait at a barrier",
            )
        self.declared_value(d)
        if d.init is not None and d.init.const is None:
            self.fail(f"the initial value of {d.name} must be constant", d.init)
        self._binding(d)
        self._storable(d)

    def _binding(self, d: ast.Decl) -> None:
        for a in d.attributes:
            if a.name not in ("group", "binding"):
                self.fail(f"a variable has no attribute @{a.name}", a)
            if d.space not in ("uniform", "storage"):
                self.fail(
                    f"var<{d.space}> has no @{a.name}",
                    a,
                    "only uniform and storage variables are bound",
                )
            setattr(d, a.name, self.attribute_number(a))
        if d.space in ("uniform", "storage") and min(d.group, d.binding) < 0:
            self.fail(
                f"{d.name} needs @group and @binding",
                d,
                "write @group(0) @binding(1) before var",
            )

    def _storable(self, d: ast.Decl) -> None:
        ty = d.ty
        if isinstance(ty, Ptr):
            self.fail("a variable cannot hold a pointer", d)
        if d.space in ("uniform", "storage") and not is_host_shareable(ty):
            self.fail(f"{ty} cannot be in a buffer", d, "bool has no agreed size: use u32")
        if is_runtime_sized(ty) and d.space != "storage":
            self.fail(
                f"an array without a size must be in var<storage>, not var<{d.space}>",
                d,
            )
        if contains(ty, Atomic):
            if d.space not in ("workgroup", "storage"):
                self.fail("atomics live in workgroup or storage memory", d)
            if d.access == "read":
                self.fail(
                    "an atomic needs read_write",
                    d,
                    "declare it var<storage, read_write>",
                )
        if d.space == "uniform":
            self._uniform_layout(ty, d)
        if d.space == "private" and size_of(ty) > MAX_PRIVATE_BYTES:
            self.fail(
                f"{d.name} takes {size_of(ty)} bytes per invocation; the limit is {MAX_PRIVATE_BYTES}",
                d,
            )

    def _uniform_layout(self, ty: Type, d: ast.Decl) -> None:
        if isinstance(ty, Array):
            if size_of(ty.el) % 16 and size_of(Array(ty.el, 2)) % 32:
                help = "use vec4f elements, or var<storage, read>"
                self.fail(
                    f"in a uniform, array elements must be 16 bytes apart; {ty} has {size_of(Array(ty.el, 1))}",
                    d,
                    help,
                )
            self._uniform_layout(ty.el, d)
        elif isinstance(ty, Struct):
            for f in ty.fields:
                need = round_up(16, align_of(f.type)) if isinstance(f.type, (Struct, Array)) else 1
                if f.offset % need:
                    self.fail(
                        f"in a uniform, member {f.name} must start at a multiple of 16 bytes, not {f.offset}",
                        d,
                        "write @align(16) before it",
                    )
                self._uniform_layout(f.type, d)

    # Functions.

    def _body(self, f: ast.Function) -> None:
        self.function = f
        self.scopes = [{}]
        self.jumps = []
        for p in f.params:
            self.declare(p)
        ends = self.block(f.body, new_scope=False)
        if f.ret is not None and NEXT in ends:
            self.fail(
                f"{f.name} can end without returning {f.ret}",
                f.body.end,
                "add a return at the end",
                1,
            )
        self.function = None
        self.scopes = []

    def _no_recursion(self) -> None:
        heights: dict[ast.Function, int] = {}

        def visit(f: ast.Function, path: dict[ast.Function, None]) -> int:
            if f in heights:
                return heights[f]
            height = 0
            for callee, at in f.calls:
                if callee is f or callee in path:
                    self.fail(
                        f"{callee.name} calls itself, which WGSL does not allow",
                        at,
                        "use a loop",
                    )
                height = max(height, 1 + visit(callee, {**path, f: None}))
                if height > MAX_CALL_DEPTH:
                    self.fail(
                        f"calls are nested more than {MAX_CALL_DEPTH} functions deep",
                        at,
                    )
                f.uses += [u for u in callee.uses if u not in f.uses]
            heights[f] = height
            return height

        for f in self.functions:
            visit(f, {})
