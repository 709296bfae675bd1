"""What attackers say: it carries no hidden input out, and it is text wherever people read it."""

from __future__ import annotations

import csv
import subprocess
import sys
from typing import Any

import pytest

from gradschool.sandbox.quotes import MAX_ATTEMPTS, MAX_CHARS, MAX_NAME_CHARS, PER_FUNCTION

LOST = {"double": 0.0}

# The hidden test's input, so absurd that it is nowhere by chance.
SECRET = "[271828.1828, -314159.2653, 577215.6649, 141421.3562, 161803.3988]"
DIGITS = ("271828", "314159", "577215", "141421", "161803")

INSIDE = """
import gc
from gradschool.sandbox import calls, messages
def answer_with(change):
    real = calls._pack
    def pack(order, value, changed, side):
        message, arrays = real(order, value, changed, side)
        return (change(order, message) if order.name == "double" else message), arrays
    calls._pack = pack
"""

# Ways out: everything a worker says that could end in a message.
WAYS_OUT = {
    "an exception's text": "raise ValueError(x)",
    "an exception's arguments": "raise KeyError(str(x), repr(x))",
    "an exception's name": "raise type(f'{x}'[:150], (Exception,), {})()",
    "a chain of exceptions": "try: raise OSError(str(x))\nexcept OSError as e: raise RuntimeError(str(x)) from e",
    "numpy's own exception": "return np.asarray(str(x)).astype(float)",
    "a missing name": "return eval('_'.join(str(int(v)) for v in x).replace('-', 'm').join('aa'))",
    "an assertion": "assert not len(x), list(x)",
    "a syntax error": "compile(f'{x} {x}', str(x), 'exec')",
    "what is not written": "raise NotImplementedError('y'.join(str(abs(int(v))) for v in x) + ': your code here')",
    "what is printed": "import sys\nprint(x)\nprint(x, file=sys.stderr)\nreturn x",
    "a warning": "import warnings\nwarnings.warn(str(x))\nreturn x",
    "a path": "open('/' + str(x))",
    "many paths": (
        "for v in x:\n    for place in ('/a', '/b', '/c'):\n"
        "        try: open(f'{place}{v}')\n        except OSError: pass\nreturn x"
    ),
    "the keys of a dict": "return {str(x): 1, **{str(v): 2 for v in x}}",
    "the type of what is returned": "return type(str(x)[:150], (), {})()",
    "a string": "return str(x)",
    "a key that cannot travel": "return {'k' + str(x): {str(x): object()}}",
    "the changed argument's name": (
        INSIDE
        + "answer_with(lambda o, m: messages.Returned(m.id, m.value, [messages.Changed(str(x)[:190], None, True)], m.side))\nreturn x"
    ),
    "the type of what has its name": (
        INSIDE + "answer_with(lambda o, m: messages.Missing(o.id, o.name, str(x)[:190]))\nreturn x"
    ),
    "what cannot travel, and help": (
        INSIDE
        + "answer_with(lambda o, m: messages.Refused(o.id, str(x), str(x) * 9, str(x) * 30, 0, m.side))\nreturn x"
    ),
    "what was tried": (
        INSIDE
        + "answer_with(lambda o, m: messages.Returned(m.id, m.value, [], messages.Side(str(x), 0, (str(x),), (str(x),) * 9, 0.0)))\nreturn x"
    ),
    "a message that is none": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, str(x).encode())\n    except OSError: pass"
    ),
    "the place of an exception": (
        INSIDE
        + "problem = messages.Problem('E', (), '', abs(int(x[0])), abs(int(x[1])), (str(x),) * 60) if len(x) else None\n"
        "answer_with(lambda o, m: messages.Raised(o.id, problem, m.side) if problem else m)\nreturn x"
    ),
}

# Code of letters alone: no rule for numbers sees it, so only the length of a quote holds it.
LETTERS = "word = 'Q' * 3000\n"
FLOODS = {
    "letters in exceptions": LETTERS
    + "global n\nn = globals().get('n', 0) + 1\nraise ValueError(word + 'R' * n)",
    "letters in a name": LETTERS + "raise type(word[:190], (Exception,), {})(word)",
    "letters in paths": LETTERS
    + "for i in range(90):\n    try: open('/' + chr(65 + i) + word)\n    except OSError: pass\nreturn x",
    "letters in keys": LETTERS + "return {word + chr(65 + i): 0 for i in range(60)}",
}

TEXTS = {
    "a script": "raise ValueError('<script>alert(1)</script><img src=x onerror=alert(2)>')",
    "a style": "raise ValueError('</style></pre><style>*{display:none}</style>{{ 7 * 7 }}{% raise %}')",
    "a formula": "raise ValueError('=cmd|\\' /C calc\\'!A0')",
    "a type that is a formula": "raise type('=HYPERLINK(\"http://example.org\")', (Exception,), {})('+1')",
    "escape codes": "raise ValueError('\\x1b]0;owned\\x07\\x1b[2J\\x1b[31mpassed\\x9b1A\\r\\x08\\x08')",
    "markup of the terminal": "raise ValueError('[bold red on white]passed[/] [link=http://example.org]x[/link]')",
    "markup of the page": "raise ValueError('`a` | b | [x](javascript:alert(1)) ![y](http://example.org/z) # **c**')",
    "text from right to left": "raise ValueError('\\u202e\\u2066dessap\\u2069 \\u200b\\ufeff')",
    "half a letter": "raise ValueError('\\ud800\\udfff')",
    "a line of lines": "raise ValueError('\\n' * 500 + '# passed\\n\\n| 3 | 3 |\\n---\\n```')",
    "zero bytes": "raise ValueError('a\\0b')",
}

NAMES = (
    "<b>bold<b>",
    "=1+1",
    "[red]red[red]",
    "a b\tc",
    "\x1b[31mcolour",
    "ﬁné 世界 ‮txt",
    "`|*_#",
    "-rf",
    "x" * 200,
)

TABLE: dict[str, dict[str, Any]] = {
    **{f"tells by {name}": {"double": body, "loses": LOST} for name, body in {**WAYS_OUT, **FLOODS}.items()},
    **{
        f"says {name}": {"double": body, "loses": LOST, "says": ("double raised",)}
        for name, body in TEXTS.items()
    },
    **{name: {} for name in NAMES},
}


@pytest.fixture(scope="module")
def graded(grade_attacks, classroom):
    tests = classroom.root / "pack/graders/00_tiny/test_tiny.py"
    text = tests.read_text()
    secret = text.replace("rng.integers(-100, 100, size=17).astype(float)", f"np.array({SECRET})")
    assert secret.count(SECRET) == 2
    # An answer to bad input is a point of its own; here only the secret is asked about.
    head, rest = secret.split('@pytest.mark.exercise("double")\n@pytest.mark.points(1)\n')
    tests.write_text(head.replace("points(2)", "points(3)", 1) + rest[rest.index("@pytest.mark") :])
    return grade_attacks(TABLE)


@pytest.mark.parametrize("name", [*TABLE, "aaron", "mira", "zoe"])
def test_words_earn_nothing(graded, name: str) -> None:
    graded.expect(name)


@pytest.mark.parametrize("name", WAYS_OUT)
def test_no_hidden_input_leaves_by(graded, name: str) -> None:
    folder = graded.root / "results" / f"tells by {name}"
    for path in folder.iterdir():
        text = path.read_text()
        assert not [digits for digits in DIGITS if digits in text], path.name


def test_no_hidden_input_is_in_any_table(graded) -> None:
    text = graded.pages(".csv") + (graded.root / "results/index.html").read_text() + graded.output
    assert not [digits for digits in DIGITS if digits in text]


@pytest.mark.parametrize("name", FLOODS)
def test_a_function_is_quoted_briefly(graded, name: str) -> None:
    record = graded.records[f"tells by {name}"]
    said = "".join([*record.problems, *(test.message for item in record.exercises for test in item.tests)])
    most = 2 * PER_FUNCTION * (MAX_CHARS + MAX_NAME_CHARS) + MAX_ATTEMPTS * MAX_NAME_CHARS
    assert said.count("Q") <= most


def test_pages_hold_words_and_nothing_that_runs(graded) -> None:
    text = graded.pages(".html")
    for code in (
        "<script",
        "<img",
        "<b>bold",
        "<style>*",
        'javascript:alert(1)"',
        "\x1b",
        "\x9b",
        "\x07",
        "\x00",
        "\u202e",
    ):
        assert code not in text, code
    assert "49" not in "".join(line for line in text.splitlines() if "{% raise %}" in line)


def test_markdown_holds_words_and_no_markup_of_attackers(graded) -> None:
    text = graded.pages(".md")
    for code in ("<script", "<img", "](javascript", "![y]", "\x1b", "\u202e"):
        assert code not in text.replace("\\<", "").replace("\\]", "").replace("!\\[", ""), code
    assert "\n# passed" not in text


def test_no_cell_of_a_table_is_a_formula(graded) -> None:
    for name in ("grades.csv", "exercises.csv"):
        with (graded.root / "results" / name).open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                assert not [
                    cell
                    for cell in row
                    if cell.lstrip()[:1] in ("=", "+", "-", "@") and not cell[1:].isdigit()
                ]


@pytest.mark.parametrize("command", ["grade", "report"])
def test_the_terminal_shows_words_as_they_are(graded, command: str) -> None:
    if command == "report":
        line = [sys.executable, "-P", "-m", "gradschool", "report", str(graded.root / "results")]
        output = subprocess.run(
            line, capture_output=True, text=True, encoding="utf-8", check=True, timeout=120
        ).stdout
    else:
        output = graded.output
    for code in ("\x1b", "\x9b", "\x07", "\x08", "\u202e"):
        assert code not in output, repr(code)
    assert "[red]red" in output


def test_every_name_of_a_student_has_its_record(graded) -> None:
    assert set(NAMES) <= set(graded.records)
