"""Expression half of the parser."""

from __future__ import annotations

from typing import NoReturn

from gradschool.wgsl import ast
from gradschool.wgsl.errors import Source
from gradschool.wgsl.lexer import KEYWORDS, RESERVED, Token

MAX_NESTING = 200

# Only these predeclared names take a template list, so `a < b` needs no look-ahead.
TEMPLATED = frozenset(
    ["array", "atomic", "ptr", "bitcast", "vec2", "vec3", "vec4"]
    + [f"mat{c}x{r}" for c in (2, 3, 4) for r in (2, 3, 4)]
)

_MULTIPLICATIVE = frozenset(["*", "/", "%"])
_ADDITIVE = frozenset(["+", "-"])
_SHIFT = frozenset(["<<", ">>"])
_RELATIONAL = frozenset(["<", ">", "<=", ">=", "==", "!="])
_ARITHMETIC = _MULTIPLICATIVE | _ADDITIVE | _SHIFT
_BITWISE = frozenset(["&", "|", "^"])
_LOGICAL = frozenset(["&&", "||"])


class ExpressionParser:
    """A cursor over tokens with the expression grammar."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.index = 0
        self.token = tokens[0]
        self.depth = 0
        self.parenthesised: ast.Expr | None = None

    # The cursor.

    def advance(self) -> Token:
        """Return the current token and step past it."""
        token = self.token
        if token.kind != "end":
            self.index += 1
            self.token = self.tokens[self.index]
        return token

    def at(self, text: str) -> bool:
        """Whether the current token is this operator or keyword."""
        return self.token.text == text and self.token.kind in ("op", "keyword")

    def accept(self, text: str) -> bool:
        """Step past a token if it is this one."""
        if self.at(text):
            self.advance()
            return True
        return False

    def expect(self, text: str, why: str) -> Token:
        """Step past this token or fail with what was expected."""
        if self.at(text):
            return self.advance()
        pos = self.token.pos
        if text == ";" and self.index:
            # The missing semicolon belongs to the line before, where the learner has to write it.
            before = self.tokens[self.index - 1]
            pos = before.pos + len(before.text) - 1
        raise self.source.error(f"expected {text} {why}, found {self.token.text}", pos)

    def expect_ident(self, what: str) -> Token:
        """Step past a name or fail."""
        if self.token.kind == "ident":
            return self.advance()
        raise self.source.error(f"expected {what}, found {self.token.text}", self.token.pos)

    def expect_name(self, what: str, reserved_ok: bool = False) -> Token:
        """Step past a name that is being declared or fail."""
        token = self.token
        if token.kind == "ident" and not reserved_ok and token.text in RESERVED:
            raise self.source.error(
                f"{token.text} is a reserved word of WGSL",
                token.pos,
                f"rename it, for example {token.text}_",
            )
        if token.kind == "keyword" or token.text in KEYWORDS:
            raise self.source.error(
                f"{token.text} is a keyword and cannot name {what}",
                token.pos,
                "rename it",
            )
        if token.text == "_":
            raise self.source.error(f"_ cannot name {what}", token.pos, "give it a name")
        return self.expect_ident(f"the name of {what}")

    def enter(self) -> None:
        """Count one level of nesting."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.too_deep(self.token.pos)

    def too_deep(self, pos: int) -> NoReturn:
        """Fail because of nesting."""
        raise self.source.error(
            f"nested more than {MAX_NESTING} levels deep",
            pos,
            "split the expression or block into smaller ones",
        )

    # Types.

    def type_expr(self) -> ast.Ident:
        """Parse a type: a name with an optional template list."""
        token = self.expect_ident("a type")
        if self.at("<") and token.text not in TEMPLATED:
            raise self.source.error(f"{token.text} takes no template arguments", self.token.pos)
        return ast.Ident(token.pos, token.text, self.template_list() if self.at("<") else None)

    def template_list(self) -> list[ast.Expr]:
        """Parse `<a, b>`."""
        self.enter()
        opening = self.advance()
        args: list[ast.Expr] = []
        while not self.token.text.startswith(">"):
            # Comparisons and shifts need parentheses here, so that > closes the list.
            args.append(self._additive())
            if not self.accept(","):
                break
        if not (self.token.kind == "op" and self.token.text.startswith(">")):
            raise self.source.error(
                f"expected > to close the template list, found {self.token.text}",
                self.token.pos,
            )
        if len(self.token.text) > 1:
            rest = Token("op", self.token.text[1:], self.token.pos + 1)
            self.tokens[self.index] = self.token = rest
        else:
            self.advance()
        if not args:
            raise self.source.error(
                "this template list is empty",
                opening.pos,
                "write a type between < and >",
            )
        self.depth -= 1
        return args

    # Expressions, from loose to tight.

    def expression(self) -> ast.Expr:
        """Parse one expression."""
        self.enter()
        left = self._relational()
        op = self.token.text
        if self.token.kind == "op" and op in _LOGICAL:
            left = self._chain(left, op, self._relational, _LOGICAL)
        elif self.token.kind == "op" and op in _BITWISE:
            self._single(left, op)
            left = self._chain(left, op, self._unary, _BITWISE)
            self._single(None, op)
        if self.token.kind == "op" and self.token.text in _LOGICAL | _BITWISE:
            self._mixed(op)
        self.depth -= 1
        return left

    def _mixed(self, op: str) -> NoReturn:
        raise self.source.error(
            f"{op} and {self.token.text} cannot be mixed without parentheses",
            self.token.pos,
            "put parentheses around the part that comes first",
            len(self.token.text),
        )

    def _chain(self, left, op, operand, family):
        count = 0
        while self.token.kind == "op" and self.token.text in family:
            if self.token.text != op:
                self._mixed(op)
            token = self.advance()
            left = ast.Binary(token.pos, token.text, left, operand())
            count += 1
            if count > MAX_NESTING:
                self.too_deep(token.pos)
        return left

    def _relational(self) -> ast.Expr:
        left = self._shift()
        if self.token.kind == "op" and self.token.text in _RELATIONAL:
            token = self.advance()
            left = ast.Binary(token.pos, token.text, left, self._shift())
            if self.token.kind == "op" and self.token.text in _RELATIONAL:
                raise self.source.error(
                    "comparisons cannot be chained",
                    self.token.pos,
                    "join two comparisons with &&",
                    len(self.token.text),
                )
        return left

    def _shift(self) -> ast.Expr:
        left = self._additive()
        if self.token.kind == "op" and self.token.text in _SHIFT:
            self._single(left, self.token.text)
            token = self.advance()
            left = ast.Binary(token.pos, token.text, left, self._unary())
            self._single(None, token.text)
        return left

    def _single(self, left: ast.Expr | None, op: str) -> None:
        """Refuse an operand of a shift or bit operator that has an operator of its own and no parentheses."""
        before = isinstance(left, ast.Binary) and left is not self.parenthesised
        after = left is None and self.token.kind == "op" and self.token.text in _ARITHMETIC
        if before or after:
            raise self.source.error(
                f"the operands of {op} need parentheses here",
                self.token.pos,
                f"write (a + b) {op} c or a {op} (b + c)",
                len(self.token.text),
            )

    def _additive(self) -> ast.Expr:
        return self._left_chain(self._multiplicative, _ADDITIVE)

    def _multiplicative(self) -> ast.Expr:
        return self._left_chain(self._unary, _MULTIPLICATIVE)

    def _left_chain(self, operand, family) -> ast.Expr:
        left = operand()
        count = 0
        while self.token.kind == "op" and self.token.text in family:
            token = self.advance()
            left = ast.Binary(token.pos, token.text, left, operand())
            count += 1
            if count > MAX_NESTING:
                self.too_deep(token.pos)
        return left

    def _unary(self) -> ast.Expr:
        token = self.token
        if token.kind == "op" and token.text in ("-", "!", "~", "&", "*", "&&", "--"):
            self.enter()
            self.advance()
            operand = self._unary()
            if token.text in ("&&", "--"):
                operand = ast.Unary(token.pos + 1, token.text[0], operand)
            self.depth -= 1
            return ast.Unary(token.pos, token.text[0], operand)
        if token.kind == "op" and token.text == "+":
            raise self.source.error("WGSL has no unary +", token.pos, "remove it")
        return self._postfix(self._primary())

    def _postfix(self, base: ast.Expr) -> ast.Expr:
        count = 0
        while True:
            count += 1
            if count > MAX_NESTING:
                self.too_deep(self.token.pos)
            if self.at("["):
                self.advance()
                index = self.expression()
                self.expect("]", "to close the index")
                base = ast.Index(base.pos, base, index)
            elif self.at("."):
                self.advance()
                name = self.expect_ident("a member after the dot")
                base = ast.Member(base.pos, base, name.text, name.pos)
            else:
                return base

    def _primary(self) -> ast.Expr:
        token = self.token
        if token.kind in ("int", "float", "hex", "hexfloat"):
            self.advance()
            return ast.Literal(token.pos, token.kind, token.text)
        if token.kind == "keyword" and token.text in ("true", "false"):
            self.advance()
            return ast.Literal(token.pos, "bool", token.text)
        if token.kind == "ident":
            self.advance()
            name = ast.Ident(token.pos, token.text)
            if token.text in TEMPLATED and self.at("<"):
                name.targs = self.template_list()
            if self.at("("):
                return ast.Call(token.pos, name, self.arguments())
            return name
        if self.accept("("):
            inner = self.expression()
            self.expect(")", "to close the parenthesis")
            self.parenthesised = inner
            return inner
        help = "WGSL has no ? :, write select(if_false, if_true, condition)" if token.text == "?" else ""
        raise self.source.error(f"expected a value, found {token.text}", token.pos, help)

    def arguments(self) -> list[ast.Expr]:
        """Parse `(a, b)`."""
        self.expect("(", "to open the arguments")
        args: list[ast.Expr] = []
        while not self.at(")"):
            args.append(self.expression())
            if not self.accept(","):
                break
        self.expect(")", "to close the arguments")
        return args
