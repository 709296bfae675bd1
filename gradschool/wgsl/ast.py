"""The syntax tree. The checker fills `ty`, `const`, `stage` and the resolved declarations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gradschool.wgsl.types import Type

CONST, OVERRIDE, RUNTIME = 0, 1, 2


@dataclass(slots=True, eq=False)
class Expr:
    """An expression; `const` holds its value when it is known before the run."""

    pos: int
    ty: Type | None = field(default=None, init=False)
    const: Any = field(default=None, init=False)
    stage: int = field(default=RUNTIME, init=False)


@dataclass(slots=True, eq=False)
class Literal(Expr):
    """A number or a boolean; `kind` is the token's kind or `bool`."""

    kind: str
    text: str


@dataclass(slots=True, eq=False)
class Ident(Expr):
    """A name, with its template arguments when it has some (`vec3<f32>`)."""

    name: str
    targs: list[Expr] | None = None
    decl: Any = None


@dataclass(slots=True, eq=False)
class Unary(Expr):
    """`-e`, `!e`, `~e`, `&e` or `*e`."""

    op: str
    operand: Expr


@dataclass(slots=True, eq=False)
class Binary(Expr):
    """`left op right`."""

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Index(Expr):
    """`base[index]`."""

    base: Expr
    index: Expr


@dataclass(slots=True, eq=False)
class Member(Expr):
    """`base.name`: a struct member or a swizzle."""

    base: Expr
    name: str
    name_pos: int


@dataclass(slots=True, eq=False)
class Call(Expr):
    """A function, built-in or value constructor with its arguments.

    `how` is `function`, `builtin` or `construct` after checking.
    """

    callee: Ident
    args: list[Expr]
    how: str = ""
    target: Any = None


@dataclass(slots=True, eq=False)
class Attribute:
    """`@name(args)`."""

    pos: int
    name: str
    args: list[Expr]


@dataclass(slots=True, eq=False)
class Stmt:
    """A statement."""

    pos: int


@dataclass(slots=True, eq=False)
class Block(Stmt):
    """`{ ... }`; `end` is the offset of the closing brace."""

    body: list[Stmt]
    end: int = 0


@dataclass(slots=True, eq=False)
class Decl(Stmt):
    """`var`, `let`, `const`, `override` or a parameter (`kind` `param`)."""

    kind: str
    name: str
    type_expr: Expr | None
    init: Expr | None
    space: str = ""
    access: str = ""
    attributes: list[Attribute] = field(default_factory=list)
    ty: Any = None
    const: Any = None
    stage: int = RUNTIME
    group: int = -1
    binding: int = -1
    is_global: bool = False
    address_taken: bool = False
    uid: int = -1


@dataclass(slots=True, eq=False)
class Assign(Stmt):
    """`target op= value`; a target of None is `_`."""

    target: Expr | None
    op: str
    value: Expr


@dataclass(slots=True, eq=False)
class If(Stmt):
    """`if condition {...} else ...`."""

    condition: Expr
    then: Block
    orelse: Stmt | None


@dataclass(slots=True, eq=False)
class Case:
    """One clause of a switch; a selector of None is `default`."""

    pos: int
    selectors: list[Expr | None]
    body: Block


@dataclass(slots=True, eq=False)
class Switch(Stmt):
    """`switch value { ... }`."""

    value: Expr
    cases: list[Case]


@dataclass(slots=True, eq=False)
class Loop(Stmt):
    """`loop`, `while` and `for`; they differ in which parts are present."""

    kind: str
    init: Stmt | None
    condition: Expr | None
    body: Block
    update: Stmt | None
    continuing: Block | None
    break_if: Expr | None


@dataclass(slots=True, eq=False)
class Jump(Stmt):
    """`break` or `continue`."""

    kind: str


@dataclass(slots=True, eq=False)
class Return(Stmt):
    """`return value;`."""

    value: Expr | None


@dataclass(slots=True, eq=False)
class CallStmt(Stmt):
    """A call whose result is not used."""

    call: Call


@dataclass(slots=True, eq=False)
class ConstAssert(Stmt):
    """`const_assert condition;`."""

    condition: Expr


@dataclass(slots=True, eq=False)
class FieldDecl:
    """A member of a struct declaration."""

    pos: int
    name: str
    type_expr: Expr
    attributes: list[Attribute]


@dataclass(slots=True, eq=False)
class StructDecl(Stmt):
    """`struct name { ... }`."""

    name: str
    fields: list[FieldDecl]
    ty: Any = None


@dataclass(slots=True, eq=False)
class Alias(Stmt):
    """`alias name = type;`."""

    name: str
    type_expr: Expr
    ty: Any = None


@dataclass(slots=True, eq=False)
class Function(Stmt):
    """`fn name(params) -> type { ... }`."""

    name: str
    params: list[Decl]
    return_type: Expr | None
    body: Block
    attributes: list[Attribute]
    ret: Any = None
    entry: Any = None
    calls: list[Any] = field(default_factory=list)
    uses: list[Decl] = field(default_factory=list)
    has_barrier: bool = False


@dataclass(slots=True, eq=False)
class Unit:
    """A whole source: its declarations in order and the extensions it enables."""

    decls: list[Stmt]
    enables: set[str]
