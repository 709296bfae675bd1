"""Statement half of the parser."""

from __future__ import annotations

from gradschool.wgsl import ast
from gradschool.wgsl.expressions import ExpressionParser

MAX_BLOCKS = 48
MAX_LOOPS = 9

_ASSIGN = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="])


class StatementParser(ExpressionParser):
    """The grammar of function bodies."""

    blocks = 0
    loops = 0

    def attributes(self) -> list[ast.Attribute]:
        """Parse `@name(args)`, any number of them."""
        found: list[ast.Attribute] = []
        while self.at("@"):
            start = self.advance()
            name = self.advance()
            if name.kind not in ("ident", "keyword"):
                raise self.source.error(f"expected an attribute's name, found {name.text}", name.pos)
            args = self.arguments() if self.at("(") else []
            found.append(ast.Attribute(start.pos, name.text, args))
        return found

    def block(self) -> ast.Block:
        """Parse `{ ... }`."""
        opening = self.expect("{", "to open the block")
        self.blocks += 1
        if self.blocks > MAX_BLOCKS:
            raise self.source.error(
                f"blocks are nested more than {MAX_BLOCKS} levels deep",
                opening.pos,
                "move the inner part to a function",
            )
        body: list[ast.Stmt] = []
        while not self.at("}"):
            if self.token.kind == "end":
                raise self.source.error("this { is never closed", opening.pos, "add the missing }", 1)
            statement = self.statement()
            if statement is not None:
                body.append(statement)
        end = self.advance()
        self.blocks -= 1
        return ast.Block(opening.pos, body, end.pos)

    def statement(self) -> ast.Stmt | None:
        """Parse one statement; a lone semicolon is None."""
        if self.at("@"):
            self.attributes()
        token = self.token
        if token.kind == "keyword":
            return self._keyword_statement()
        if self.accept(";"):
            return None
        if self.at("{"):
            return self.block()
        statement = self.simple_statement()
        self.expect(";", "at the end of the statement")
        return statement

    def _keyword_statement(self) -> ast.Stmt:
        token = self.token
        match token.text:
            case "if":
                return self._if()
            case "for":
                return self._for()
            case "while":
                self.advance()
                return self._loop_body("while", token.pos, None, self.expression(), None)
            case "loop":
                return self._loop()
            case "switch":
                return self._switch()
            case "break" | "continue":
                self.advance()
                if token.text == "break" and self.at("if"):
                    raise self.source.error(
                        "break if is only allowed as the last statement of a continuing block",
                        token.pos,
                        "write if (condition) { break; }",
                    )
                self.expect(";", f"after {token.text}")
                return ast.Jump(token.pos, token.text)
            case "return":
                self.advance()
                value = None if self.at(";") else self.expression()
                self.expect(";", "after the returned value")
                return ast.Return(token.pos, value)
            case "const_assert":
                return self.const_assert()
            case "var" | "let" | "const":
                decl = self.simple_statement()
                self.expect(";", "at the end of the declaration")
                assert decl is not None
                return decl
            case "discard":
                raise self.source.error("discard is only for fragment shaders", token.pos, "use return")
            case "fn":
                raise self.source.error(
                    "a function cannot be declared inside a function",
                    token.pos,
                    "move it out",
                )
            case _:
                raise self.source.error(f"{token.text} cannot start a statement here", token.pos)

    def const_assert(self) -> ast.ConstAssert:
        """Parse `const_assert e;`."""
        start = self.advance()
        found = ast.ConstAssert(start.pos, self.expression())
        self.expect(";", "after const_assert")
        return found

    def var_decl(self, attributes: list[ast.Attribute]) -> ast.Decl:
        """Parse `var<space, access> name: type = init`, without the semicolon."""
        self.advance()
        space = access = ""
        if self.accept("<"):
            space = self.expect_ident("an address space").text
            if self.accept(","):
                access = self.expect_ident("an access mode: read, write or read_write").text
            self.expect(">", "to close the address space")
        name = self.expect_name("the variable")
        type_expr = self.type_expr() if self.accept(":") else None
        init = self.expression() if self.accept("=") else None
        return ast.Decl(name.pos, "var", name.text, type_expr, init, space, access, attributes)

    def let_decl(self, attributes: list[ast.Attribute]) -> ast.Decl:
        """Parse `let`, `const` or `override`, without the semicolon."""
        kind = self.advance().text
        name = self.expect_name(f"the {kind}")
        type_expr = self.type_expr() if self.accept(":") else None
        init = None
        if kind != "override" or self.at("="):
            self.expect("=", f"after {kind} {name.text}: it needs a value")
            init = self.expression()
        return ast.Decl(name.pos, kind, name.text, type_expr, init, attributes=attributes)

    def simple_statement(self) -> ast.Stmt | None:
        """Parse a declaration, an assignment or a call, without the semicolon."""
        token = self.token
        if self.at("var"):
            return self.var_decl([])
        if self.at("let") or self.at("const"):
            return self.let_decl([])
        if token.text == "_" and token.kind == "ident":
            self.advance()
            self.expect("=", "after _")
            return ast.Assign(token.pos, None, "=", self.expression())
        if token.text in ("++", "--"):
            raise self.source.error(
                f"WGSL has no prefix {token.text}",
                token.pos,
                "write it after the variable",
                2,
            )
        left = self._unary()
        op = self.token
        if op.kind == "op" and op.text in _ASSIGN:
            self.advance()
            return ast.Assign(op.pos, left, op.text, self.expression())
        if op.kind == "op" and op.text in ("++", "--"):
            self.advance()
            one = ast.Literal(op.pos, "int", "1")
            return ast.Assign(op.pos, left, f"{op.text[0]}=", one)
        if isinstance(left, ast.Call):
            return ast.CallStmt(left.pos, left)
        raise self.source.error(
            "this expression does nothing on its own",
            left.pos,
            "assign it, or write _ = ...",
        )

    def _if(self) -> ast.If:
        start = self.advance()
        condition = self.expression()
        then = self.block()
        orelse: ast.Stmt | None = None
        if self.accept("else"):
            if self.at("if"):
                self.blocks += 1
                if self.blocks > MAX_BLOCKS:
                    raise self.source.error(
                        f"else if goes on for more than {MAX_BLOCKS} levels",
                        self.token.pos,
                        "use a switch or a function",
                    )
                orelse = self._if()
                self.blocks -= 1
            else:
                orelse = self.block()
        return ast.If(start.pos, condition, then, orelse)

    def _loop_body(self, kind, pos, init, condition, update) -> ast.Loop:
        self.loops += 1
        if self.loops > MAX_LOOPS:
            raise self.source.error(
                f"loops are nested more than {MAX_LOOPS} levels deep",
                pos,
                "move the inner loops to a function",
            )
        body = self.block()
        self.loops -= 1
        return ast.Loop(pos, kind, init, condition, body, update, None, None)

    def _for(self) -> ast.Loop:
        start = self.advance()
        self.expect("(", "after for")
        init = None if self.at(";") else self.simple_statement()
        self.expect(";", "after the first part of for")
        condition = None if self.at(";") else self.expression()
        self.expect(";", "after the condition of for")
        update = None if self.at(")") else self.simple_statement()
        self.expect(")", "to close for")
        return self._loop_body("for", start.pos, init, condition, update)

    def _loop(self) -> ast.Loop:
        start = self.advance()
        self.loops += 1
        if self.loops > MAX_LOOPS:
            raise self.source.error(
                f"loops are nested more than {MAX_LOOPS} levels deep",
                start.pos,
                "move the inner loops to a function",
            )
        opening = self.expect("{", "after loop")
        body: list[ast.Stmt] = []
        continuing = break_if = None
        while not self.at("}"):
            if self.token.kind == "end":
                raise self.source.error("this { is never closed", opening.pos, "add the missing }", 1)
            if self.accept("continuing"):
                continuing, break_if = self._continuing()
                if not self.at("}"):
                    raise self.source.error("continuing must be the last part of a loop", self.token.pos)
                break
            statement = self.statement()
            if statement is not None:
                body.append(statement)
        end = self.expect("}", "to close the loop")
        self.loops -= 1
        block = ast.Block(opening.pos, body, end.pos)
        return ast.Loop(start.pos, "loop", None, None, block, None, continuing, break_if)

    def _continuing(self) -> tuple[ast.Block, ast.Expr | None]:
        opening = self.expect("{", "after continuing")
        body: list[ast.Stmt] = []
        break_if = None
        while not self.at("}"):
            if self.token.kind == "end":
                raise self.source.error("this { is never closed", opening.pos, "add the missing }", 1)
            following = self.tokens[self.index + 1]
            if self.at("break") and following.text == "if":
                self.advance()
                self.advance()
                break_if = self.expression()
                self.expect(";", "after break if")
                break
            statement = self.statement()
            if statement is not None:
                body.append(statement)
        end = self.expect("}", "to close continuing")
        return ast.Block(opening.pos, body, end.pos), break_if

    def _switch(self) -> ast.Switch:
        start = self.advance()
        value = self.expression()
        self.expect("{", "to open the switch")
        cases: list[ast.Case] = []
        while not self.at("}"):
            token = self.token
            selectors: list[ast.Expr | None] = []
            if self.accept("default"):
                selectors.append(None)
            elif self.accept("case"):
                while not (self.at(":") or self.at("{")):
                    selectors.append(None if self.accept("default") else self.expression())
                    if not self.accept(","):
                        break
            else:
                raise self.source.error(f"expected case or default, found {token.text}", token.pos)
            self.accept(":")
            cases.append(ast.Case(token.pos, selectors, self.block()))
        self.expect("}", "to close the switch")
        return ast.Switch(start.pos, value, cases)
