"""The type checker: statements, functions and module-scope declarations."""

from __future__ import annotations

from gradschool.wgsl import ast
from gradschool.wgsl.ast import CONST, OVERRIDE
from gradschool.wgsl.check_module import ModuleChecker
from gradschool.wgsl.errors import Source

__all__ = ["CONST", "OVERRIDE", "check"]


def check(source: Source, unit: ast.Unit, overrides: dict[str, float] | None = None) -> ModuleChecker:
    """Check a parsed source and annotate its tree.

    Raises:
        WgslError: A rule of WGSL is broken.
    """
    checker = ModuleChecker(source, unit, overrides or {})
    checker.module()
    return checker
