from __future__ import annotations

import ast

import pytest

from gradschool.sandbox.cells import definitions, names_defined, without_magics


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("%matplotlib inline", "pass"),
        ("    %timeit f()", "    pass"),
        ("!pip install numpy", "pass"),
        ("np.sum?", "pass"),
        ("?np.sum", "pass"),
        ("files = !ls", "files = None"),
        ("t = %timeit -o f()", "t = None"),
    ],
)
def test_a_magic_line_becomes_a_line_of_python(line, becomes):
    if line.startswith(" "):
        assert without_magics(f"if x:\n{line}\n    y = 1") == f"if x:\n{becomes}\n    y = 1"
    else:
        assert without_magics(f"x = 1\n{line}\ny = 2") == f"x = 1\n{becomes}\ny = 2"


@pytest.mark.parametrize("source", ["z = (x\n% y)", 's = """\n%not a magic\n!nor this\n"""', "x = 5\n"])
def test_python_is_left_as_it_is(source):
    assert without_magics(source) == source


def test_a_timed_cell_still_runs_and_a_shell_cell_does_not():
    assert without_magics("%%time\nx = 1") == "pass\nx = 1"
    assert without_magics("%%bash\nrm -rf x") == ""
    assert without_magics("\n%%wgsl name\nfn main() {}") == ""


def test_lines_keep_their_numbers():
    assert without_magics("%a\n\n!b\nx = 1\n").splitlines()[3] == "x = 1"


def test_definitions_of_a_broken_cell_are_found_by_their_first_line():
    assert names_defined("def f(x:\n  return\n\nclass G(\n  def inner():\nasync def h(): pass") == (
        "f",
        "G",
        "h",
    )


def test_definitions_leave_out_what_runs():
    tree = ast.parse(
        "import os\nEPS = 1e-5\nRATE = EPS * 2\ndef f(): pass\nf()\nwhile True: pass\nclass G: pass"
    )
    assert [type(node).__name__ for node in definitions(tree)] == [
        "Import",
        "Assign",
        "FunctionDef",
        "ClassDef",
    ]


def test_a_cell_that_defines_nothing_imports_nothing():
    assert definitions(ast.parse("import torch\nx = 1")) == []
