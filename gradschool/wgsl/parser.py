"""Tokens to declarations; the statements are in `statements`, the expressions in `expressions`."""

from __future__ import annotations

from gradschool.wgsl import ast
from gradschool.wgsl.errors import Source
from gradschool.wgsl.lexer import tokenize
from gradschool.wgsl.statements import StatementParser

_KNOWN_EXTENSIONS = {"f16", "subgroups"}
_NOT_COMPUTE = {"vertex": "vertex", "fragment": "fragment"}


class Parser(StatementParser):
    """Recursive descent over the module's declarations."""

    def parse(self) -> ast.Unit:
        """Parse a whole source."""
        enables = self._directives()
        decls: list[ast.Stmt] = []
        while self.token.kind != "end":
            if self.accept(";"):
                continue
            decls.append(self._declaration())
        return ast.Unit(decls, enables)

    def _directives(self) -> set[str]:
        enables: set[str] = set()
        while self.token.text in ("enable", "requires", "diagnostic") and self.token.kind == "keyword":
            word = self.advance()
            if word.text == "diagnostic":
                self._diagnostic_arguments()
            else:
                while True:
                    name = self.expect_ident("an extension")
                    if word.text == "enable" and name.text not in _KNOWN_EXTENSIONS:
                        raise self.source.error(
                            f"the interpreter does not know the extension {name.text}",
                            name.pos,
                            "it knows f16 and subgroups; remove this line if the kernel does not need it",
                        )
                    enables.add(name.text)
                    if not self.accept(","):
                        break
            self.expect(";", f"after {word.text}")
        return enables

    def _diagnostic_arguments(self) -> None:
        self.expect("(", "after diagnostic")
        self.expect_ident("a severity: error, warning, info or off")
        self.expect(",", "between the severity and the rule")
        self.expect_ident("a rule")
        if self.accept("."):
            self.expect_ident("a rule")
        self.accept(",")
        self.expect(")", "to close diagnostic")

    def _declaration(self) -> ast.Stmt:
        attributes = self.attributes()
        token = self.token
        match token.text if token.kind == "keyword" else "":
            case "fn":
                return self._function(attributes)
            case "struct":
                return self._struct()
            case "alias":
                self.advance()
                name = self.expect_name("the alias")
                self.expect("=", "after the alias's name")
                decl = ast.Alias(token.pos, name.text, self.type_expr())
                self.expect(";", "after the alias")
                return decl
            case "const_assert":
                return self.const_assert()
            case "var":
                decl = self.var_decl(attributes)
            case "const" | "override":
                decl = self.let_decl(attributes)
            case "let":
                raise self.source.error(
                    "let cannot be used outside a function",
                    token.pos,
                    "write const for a value known before the run",
                )
            case _:
                raise self.source.error(
                    f"expected a declaration, found {token.text}",
                    token.pos,
                    "outside functions WGSL has fn, var, const, override, struct, alias and const_assert",
                )
        self.expect(";", f"after the declaration of {decl.name}")
        decl.is_global = True
        return decl

    def _struct(self) -> ast.StructDecl:
        start = self.advance()
        name = self.expect_name("the struct")
        self.expect("{", "to open the struct")
        fields: list[ast.FieldDecl] = []
        while not self.at("}"):
            attributes = self.attributes()
            field = self.expect_name("a member", reserved_ok=False)
            self.expect(":", f"between {field.text} and its type")
            fields.append(ast.FieldDecl(field.pos, field.text, self.type_expr(), attributes))
            if not self.accept(","):
                if self.at(";"):
                    raise self.source.error(
                        "struct members are separated by commas",
                        self.token.pos,
                        "write , here",
                    )
                break
        self.expect("}", f"to close struct {name.text}")
        return ast.StructDecl(start.pos, name.text, fields)

    def _function(self, attributes: list[ast.Attribute]) -> ast.Function:
        self.advance()
        name = self.expect_name("the function")
        self.expect("(", f"after fn {name.text}")
        params: list[ast.Decl] = []
        while not self.at(")"):
            notes = self.attributes()
            param = self.expect_name("a parameter")
            self.expect(":", f"between {param.text} and its type")
            params.append(
                ast.Decl(
                    param.pos,
                    "param",
                    param.text,
                    self.type_expr(),
                    None,
                    attributes=notes,
                )
            )
            if not self.accept(","):
                break
        self.expect(")", f"to close the parameters of {name.text}")
        ret = None
        if self.accept("->"):
            self.attributes()
            ret = self.type_expr()
        return ast.Function(name.pos, name.text, params, ret, self.block(), attributes)


def parse(source: Source) -> ast.Unit:
    """Parse a source.

    Raises:
        WgslError: It is not WGSL.
    """
    return Parser(source, tokenize(source)).parse()
