"""Each kind of mistake in Python, on a line that shows it."""

from __future__ import annotations

import sys

import pytest

from gradschool.errors import UsageError
from gradschool.mutation.mutants import python_key
from gradschool.mutation.python_edits import python_edits

HEAD = 'def f(x: "np.ndarray", y: "np.ndarray", n: "int" = 3) -> "out":\n    """Say 1 + 1."""\n    '


def changes(body: str) -> set[tuple[str, str]]:
    """Return kind and new body of every mutant of a function with this body."""
    source = HEAD + body + "\n"
    found = set()
    for edit in python_edits(source):
        changed = edit.apply(source)
        if python_key(changed) is not None and changed.startswith(HEAD):
            found.add((edit.operator, changed.removeprefix(HEAD).rstrip("\n")))
    return found


CASES = [
    ("operator", "return x + y", "return x - y"),
    ("operator", "return x < y", "return x <= y"),
    ("comparison", "return x < y", "return x >= y"),
    ("constant", "return x * 2", "return x * 3"),
    ("constant", "return x * 2", "return x * 1"),
    ("constant", "return x * 2", "return x * 0"),
    ("constant", "return x + 0.5", "return x + 0.505"),
    ("negation", "return -x", "return x"),
    ("negation", "return not x", "return x"),
    ("term", "return x + y * n", "return y * n"),
    ("term", "return x - y", "return -y"),
    ("term", "return (x + y) * n", "return (x + y)"),
    ("term", "return x > 0 and y > 0 and n > 0", "return x > 0 and n > 0"),
    ("swap", "return x - y", "return y - x"),
    ("swap", "return x @ y", "return y @ x"),
    ("swap", "return x - y - n", "return n - (x - y)"),
    ("swap", "return x, y", "return y, x"),
    ("argument", "return np.subtract(x, y)", "return np.subtract(y, x)"),
    ("argument", "return np.where(x > 0, x, y)", "return np.where(x > 0, y, x)"),
    ("argument", "return x.sum(axis=-1, keepdims=True)", "return x.sum(axis=-1)"),
    ("argument", "return x.sum(axis=-1, keepdims=True)", "return x.sum(keepdims=True)"),
    ("flag", "return x.sum(axis=-1, keepdims=True)", "return x.sum(axis=-1, keepdims=False)"),
    ("axis", "return x.sum(axis=-1)", "return x.sum(axis=0)"),
    ("axis", "return x.sum(axis=(0, 2, 3))", "return x.sum(axis=(0, 3,))"),
    ("function", "return np.maximum(x, y)", "return np.minimum(x, y)"),
    ("unwrap", "return np.maximum(x, 0)", "return x"),
    ("unwrap", "return np.exp(x - y) * n", "return (x - y) * n"),
    ("condition", "return x if n else y", "return y"),
    ("condition", "return [a for a in x if a]", "return [a for a in x if True]"),
    ("key", 'return x["dx"]', 'return x["XXdxXX"]'),
    ("index", "return x[n]", "return x[n - 1]"),
    ("slice", "return x[n:]", "return x[n + 1:]"),
    ("slice", "return x[..., n:-1]", "return x[..., n:]"),
    ("slice", "return x[::2]", "return x[:]"),
    ("transpose", "return x.T @ y", "return x @ y"),
    ("transpose", "return x @ y", "return x @ y.T"),
    ("transpose", "return np.swapaxes(x, -1, -2)", "return x"),
    ("unwrap", "return x.reshape(-1, n)", "return x"),
    ("unwrap", "return x.copy()", "return x"),
    ("dtype", "return np.zeros(n, dtype=np.float64)", "return np.zeros(n, dtype=np.float32)"),
    ("dtype", "return np.zeros(n, x.dtype)", "return np.zeros(n, np.dtype(np.float64))"),
    ("dtype", "return np.ones(n, dtype=bool)", "return np.ones(n, dtype=float)"),
    ("in-place", "return x + y", "x += y\n    return x"),
    ("subscripts", 'return np.einsum("ij,j->i", x, y)', 'return np.einsum("ji,j->i", x, y)'),
    ("raise", "if n < 0:\n        raise ValueError(n)", "if n < 0:\n        pass"),
    ("raise", "if n < 0:\n        raise ValueError(n)", "if n < 0:\n        raise TypeError(n)"),
    ("condition", "if n < 0:\n        n = 0", "if True:\n        n = 0"),
    ("condition", "while n:\n        n -= 1", "while False:\n        n -= 1"),
    ("statement", "y += x", "pass"),
    ("statement", "x[0] = y", "pass"),
    ("statement", "x.append(y)", "pass"),
    ("statement", "y = np.exp(x)", "pass"),
    ("assignment", "y += x", "y = x"),
    ("keyword", "for a in x:\n        break", "for a in x:\n        return"),
    ("loop", "for a in x:\n        y += a", "for a in list(x)[1:]:\n        y += a"),
]


@pytest.mark.parametrize(("kind", "body", "changed"), CASES, ids=[f"{c[0]}: {c[2]}" for c in CASES])
def test_a_mistake_of_this_kind_is_made(kind: str, body: str, changed: str) -> None:
    found = {text: name for name, text in changes(body)}
    assert changed in found
    assert kind in {name for name, text in changes(body) if text == changed}


def test_signature_docstring_and_error_texts_are_left_alone() -> None:
    source = HEAD + 'raise ValueError(f"n is {n + 1}, not 2")\n'
    assert {edit.apply(source).removeprefix(HEAD).strip() for edit in python_edits(source)} >= {"pass"}
    for edit in python_edits(source):
        assert 'f"n is {n + 1}, not 2"' in edit.apply(source) or edit.new == "pass"


def test_a_name_that_has_no_value_yet_is_not_dropped() -> None:
    assert ("statement", "pass\n    return z") not in changes("z = x + y\n    return z")


def test_a_number_is_not_an_array_that_could_change_in_place() -> None:
    source = "def f(n: int) -> int:\n    return n + 1\n"
    assert "in-place" not in {edit.operator for edit in python_edits(source)}


def test_what_comes_to_the_same_program_is_known() -> None:
    assert python_key("x = (a)\n") == python_key("x = a  # this\n")
    assert python_key("x = a[+1]") == python_key("x = a[1]")
    assert python_key("x = -0") == python_key("x = 0")
    assert python_key("x = -1") != python_key("x = 1")
    assert python_key("x = (") is None


def test_columns_are_right_behind_letters_of_many_bytes() -> None:
    assert ("operator", 'return "λ" - x') in changes('return "λ" + x')
    assert ("term", "return x") in changes('return "λλ" + x')


def test_without_mutmut_an_author_reads_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mutmut.mutation.mutators", None)
    with pytest.raises(UsageError, match="mutmut is not installed") as caught:
        list(python_edits("def f(x):\n    return x\n"))
    assert "dev" in caught.value.help
