"""Attacks on a grader, each the body of an exercise that was never solved.

They are tried on every demo run, and none may earn a point. All are harmless where they
succeed: they read, ask and return, and break nothing.
"""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

from gradschool.demo.edits import replace_body
from gradschool.demo.material import Material

# What each attack tries, and the code that tries it.
ATTACKS: dict[str, str] = {
    "reads the solution from disk": """\
text = open({lesson!r}).read()
source = text.split("def {name}(")[1].split("# %%")[0]
answers = dict(globals())
exec("def {name}(" + source, answers)
return answers["{name}"](*{arguments})
""",
    "patches numpy's comparisons": """\
for module in (np, np.testing, np.linalg):
    for word in ("allclose", "array_equal", "isclose", "assert_allclose", "assert_array_equal"):
        if hasattr(module, word):
            setattr(module, word, lambda *args, **kwargs: True)
return np.zeros(1)
""",
    "returns an object equal to everything": """\
class Everything(np.ndarray):
    def __eq__(self, other):
        return np.True_
    def __array_function__(self, function, types, args, kwargs):
        return True
    def __array_ufunc__(self, *args, **kwargs):
        return np.True_
return np.zeros(1).view(Everything)
""",
    "ends the process as if all went well": """\
import os
os._exit(0)
""",
    "leaves processes behind": """\
import os, time
for _ in range(4):
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
return np.zeros(1)
""",
    "asks the network": """\
import socket
with socket.create_connection(("127.0.0.1", 9), timeout=1) as line:
    line.sendall(b"{name}")
    return np.frombuffer(line.recv(64), np.uint8)
""",
    "prints a forged result": """\
import sys
forged = '{{"id": "{name}", "score": 99, "max_score": 99, "outcome": "passed"}}'
for stream in (sys.stdout, sys.__stdout__):
    print(forged, file=stream, flush=True)
raise SystemExit(0)
""",
    "searches memory for the tests": """\
import gc, sys
frame = sys._getframe()
while frame is not None:
    for value in frame.f_locals.values():
        if callable(getattr(value, "{name}", None)):
            return getattr(value, "{name}")(*{arguments})
    frame = frame.f_back
for item in gc.get_objects():
    if isinstance(item, dict) and "reference" in item:
        return getattr(item["reference"], "{name}")(*{arguments})
return None
""",
    "writes its own grade": """\
for path in ("/tmp/results.json", "grades.csv", "../grades.csv", {lesson!r}):
    with open(path, "a"):
        pass
return "99 points"
""",
}


def attack_all(material: Material) -> tuple[dict[str, str], list[str]]:
    """Return a hostile source for every function of the stage, and what was tried."""
    sources: dict[str, str] = {}
    tried: list[str] = []
    attacks = list(ATTACKS.items())
    for index, (name, source) in enumerate(material.functions.items()):
        what, code = attacks[index % len(attacks)]
        body = code.format(name=name, lesson=str(_lesson(material)), arguments=_arguments(source, name))
        sources[name] = replace_body(source, name, textwrap.dedent(body).rstrip())
        tried.append(what)
    return sources, tried


def _lesson(material: Material) -> Path:
    return material.stage.lesson.resolve()


def _arguments(source: str, name: str) -> str:
    """The function's own arguments, as a tuple to pass on."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "(" + "".join(f"{item.arg}, " for item in node.args.args) + ")"
    return "()"
