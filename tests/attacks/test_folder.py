"""What is handed in as files: no trick with names, links, sizes or metadata gives a point or takes one from others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STAGE = "00_tiny"
NOTEBOOK = f"{STAGE}.ipynb"
KERNEL = "scale_shift.wgsl"
NO_NOTEBOOK = {"double": 0.0, "halve": 0.0}
NO_KERNEL = {KERNEL: 0.0}
HINT_COST = "0,0.1,0.25"

MARKER = "open('/tmp/by_mallory', 'w').write('ran')\n"


def _other(folder: Path, student: str = "aaron") -> Path:
    return folder.parents[1] / student / STAGE


def _pack(folder: Path) -> Path:
    return folder.parents[2] / "pack"


def _replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else in the place of one file."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return spoil


def _linked(name: str, target: Callable[[Path], Path | str]) -> Callable[[Path], None]:
    return _replaced(name, lambda path: path.symlink_to(target(path.parent)))


def _sparse(n_bytes: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(n_bytes)

    return make


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return spoil


def _notebook(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """The notebook with its JSON changed."""

    def spoil(folder: Path) -> None:
        notebook = json.loads((folder / NOTEBOOK).read_text())
        changed = change(notebook)
        (folder / NOTEBOOK).write_text(json.dumps(notebook if changed is None else changed))

    return spoil


def _each_cell(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    return _notebook(lambda notebook: [change(cell) for cell in notebook["cells"]] and None)


def _rename(name: str | bytes) -> Callable[[Path], None]:
    return lambda folder: os.rename(folder / NOTEBOOK, os.path.join(os.fsencode(folder), os.fsencode(name)))


def _booby_traps(folder: Path) -> None:
    """Modules and settings that anything started in this folder could load."""
    names = ("numpy", "msgspec", "pytest", "gradschool", "typer", "json", "conftest", "test_tiny", "checks")
    for name in (*names, "sitecustomize", "usercustomize", "lesson", "nbgrader_config", "ipython_config"):
        (folder / f"{name}.py").write_text(MARKER)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p conftest\npython_files = *.py\n")
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = ['-p', 'conftest']\n")
    (folder / "evil.pth").write_text(f"import os; {MARKER}")
    for package in ("gradschool", "graders", "solutions"):
        (folder / package / STAGE).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(MARKER)
        (folder / package / STAGE / "test_tiny.py").write_text(MARKER)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/numpy.cpython-311.pyc").write_bytes(b"\0" * 64)


def _forged_metadata(cell: dict[str, Any]) -> None:
    cell["metadata"] = {
        "nbgrader": {"grade": True, "solution": True, "locked": False, "points": 1e9, "grade_id": "halve"},
        "gradschool": {"role": "check", "exercise": "double", "score": 99},
        "tags": ["setup", "demo", 7, None],
        "score": 1e308,
    }
    cell["id"] = "same"


def _odd_cell_parts(notebook: dict[str, Any]) -> None:
    notebook["cells"] += [
        7,
        None,
        [],
        {"cell_type": "code"},
        {"cell_type": "code", "source": {"a": 1}, "metadata": []},
        {"cell_type": ["code"], "source": "halve = 3"},
        {"cell_type": "code", "source": ["x", 1, None, "= 1"], "metadata": {"nbgrader": 3, "tags": "demo"}},
    ]
    notebook["metadata"] = None
    notebook["nbformat"] = {"a": [{}] * 99}


def _moved_away(notebook: dict[str, Any]) -> None:
    notebook["cells"] = [{"cell_type": "code", "source": "0"}] * 2_000 + notebook["cells"]


def _copies(notebook: dict[str, Any]) -> None:
    """Every cell twice, as a copy in JupyterLab makes them."""
    notebook["cells"] = [cell for cell in notebook["cells"] for _ in range(2)]


def _duplicate_keys(folder: Path) -> None:
    text = (folder / NOTEBOOK).read_text()
    (folder / NOTEBOOK).write_text(f'{text.rstrip().removesuffix("}")}, "cells": [], "cells": null}}')


def _forged_outputs(cell: dict[str, Any]) -> None:
    value = {"text/plain": "np.float64(3.0)", "text/html": "<script>alert(1)</script>"}
    cell["outputs"] = [
        {"output_type": "execute_result", "data": value, "metadata": {}, "execution_count": 1}
    ] * 3
    cell["execution_count"] = True


def _hints(text: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / "hints_used.json").write_text(text)

    return spoil


DOUBLE = (
    "def double(x):\n    if np.size(x) == 0:\n        raise ValueError('x is empty')\n    return x * 2.0\n"
)

FILES: dict[str, dict[str, Any]] = {
    "links to another's notebook": {
        "spoil": _linked(NOTEBOOK, lambda folder: _other(folder) / NOTEBOOK),
        "loses": NO_NOTEBOOK,
        "says": ("00_tiny.ipynb is not a regular file",),
    },
    "links to the lesson": {
        "spoil": _linked(NOTEBOOK, lambda folder: _pack(folder) / "solutions" / STAGE / "lesson.py"),
        "loses": NO_NOTEBOOK,
        "says": ("not a regular file",),
    },
    "links to the reference kernel": {
        "spoil": _linked(KERNEL, lambda folder: _pack(folder) / "shaders" / STAGE / KERNEL),
        "loses": NO_KERNEL,
        "says": ("scale_shift.wgsl is not a regular file",),
    },
    "links to the hidden tests": {
        "spoil": _linked(KERNEL, lambda folder: _pack(folder) / "graders" / STAGE / "test_tiny.py"),
        "loses": NO_KERNEL,
        "says": ("not a regular file",),
    },
    "links to nothing": {
        "spoil": _linked(KERNEL, lambda folder: "nowhere"),
        "loses": NO_KERNEL,
        "says": ("not a regular file",),
    },
    "links to itself": {
        "spoil": _linked(NOTEBOOK, lambda folder: NOTEBOOK),
        "loses": NO_NOTEBOOK,
        "says": ("not a regular file",),
    },
    "links to a device that never ends": {
        "spoil": _linked(KERNEL, lambda folder: "/dev/zero"),
        "loses": NO_KERNEL,
        "says": ("not a regular file",),
    },
    "a pipe in place of the notebook": {
        "spoil": _replaced(NOTEBOOK, os.mkfifo),
        "loses": NO_NOTEBOOK,
        "says": ("not a regular file",),
    },
    "a pipe in place of a kernel": {
        "spoil": _replaced(KERNEL, os.mkfifo),
        "loses": NO_KERNEL,
        "says": ("not a regular file",),
    },
    "a pipe in place of the hints": {"spoil": _replaced("hints_used.json", os.mkfifo)},
    "a folder in place of the notebook": {
        "spoil": _replaced(NOTEBOOK, os.mkdir),
        "loses": NO_NOTEBOOK,
        "says": ("not a regular file",),
    },
    "a folder in place of the hints": {"spoil": _replaced("hints_used.json", os.mkdir)},
    "a notebook of 3 GB": {
        "spoil": _replaced(NOTEBOOK, _sparse(3 << 30)),
        "loses": NO_NOTEBOOK,
        "says": ("00_tiny.ipynb has 3221225472 bytes",),
    },
    "a kernel of 64 KiB and a byte": {
        "spoil": _replaced(KERNEL, _sparse((64 << 10) + 1)),
        "loses": NO_KERNEL,
        "says": ("at most 65536 are read",),
    },
    "hints of 3 GB": {"spoil": _replaced("hints_used.json", _sparse(3 << 30))},
    "a kernel named in capitals": {
        "spoil": lambda folder: os.rename(folder / KERNEL, folder / KERNEL.upper()),
        "loses": NO_KERNEL,
        "says": ("scale_shift.wgsl is missing",),
    },
    "a notebook named in capitals": {
        "spoil": _rename("00_TINY.ipynb"),
        "says": ("The notebook is called 00_TINY.ipynb",),
    },
    "a notebook whose name is no text": {
        "spoil": _rename(b"\xff\xfe.ipynb"),
        "says": ("The notebook is called",),
    },
    "a notebook whose name is a script": {
        "spoil": _rename("\x1b]0;owned\x07\n<img src=x onerror=alert(1)>.ipynb"),
        "says": ("The notebook is called",),
    },
    "two notebooks of other names": {
        "spoil": lambda folder: [_rename("a.ipynb")(folder), (folder / "b.ipynb").write_text("{}")] and None,
        "loses": NO_NOTEBOOK,
        "says": ("Which of a.ipynb, b.ipynb is it?",),
    },
    "modules and settings beside the work": {"spoil": _booby_traps},
    "a folder of folders without end": {
        "spoil": lambda folder: [(folder / "deep").mkdir(), (folder / "deep/loop").symlink_to("..")] and None
    },
}

TEXTS: dict[str, dict[str, Any]] = {
    "a notebook cut short": {
        "spoil": _bytes(NOTEBOOK, lambda data: data[:-200]),
        "loses": NO_NOTEBOOK,
        "says": ("not valid JSON",),
    },
    "a notebook in UTF-16": {
        "spoil": _bytes(NOTEBOOK, lambda data: data.decode().encode("utf-16")),
        "loses": NO_NOTEBOOK,
        "says": ("not valid JSON",),
    },
    "a notebook that holds another": {
        "spoil": _bytes(NOTEBOOK, lambda data: b'{"cells": ' * 30_000 + data),
        "loses": NO_NOTEBOOK,
        "says": ("not valid JSON",),
    },
    "a number of ten thousand digits": {
        "spoil": _bytes(NOTEBOOK, lambda data: data.rstrip()[:-1] + b', "n": ' + b"9" * 10_000 + b"}"),
        "loses": NO_NOTEBOOK,
        "says": ("not valid JSON",),
    },
    "numbers that are none": {
        "spoil": _notebook(lambda notebook: notebook.update(a=float("nan"), b=float("inf"), nbformat=1e400)),
    },
    "cells under two keys": {"spoil": _duplicate_keys, "loses": NO_NOTEBOOK, "says": ("has no cells",)},
    "half a letter in a cell": {"last": ("x = '\ud800'",)},
    "half a letter in a name": {
        "last": (
            {
                "cell_type": "code",
                "source": "1",
                "id": "\udfff",
                "metadata": {"nbgrader": {"grade_id": "\ud800"}},
            },
            {
                "cell_type": "code",
                "source": "2",
                "id": "\udfff",
                "metadata": {"nbgrader": {"grade_id": "\ud800"}},
            },
        ),
        "says": ("is a copy of the cell ?",),
    },
    "a grade id of a megabyte": {
        "last": ({"cell_type": "code", "source": "", "metadata": {"nbgrader": {"grade_id": "g" * 2**20}}},)
        * 2,
        "says": ("is a copy of the cell gggg",),
    },
    "a kernel with a byte order mark": {"spoil": _bytes(KERNEL, lambda data: b"\xef\xbb\xbf" + data)},
    "a kernel with other line ends": {"spoil": _bytes(KERNEL, lambda data: data.replace(b"\n", b"\r\n"))},
    "a kernel with bytes that are no text": {
        "spoil": _bytes(KERNEL, lambda data: data + b"// \xff\xfe\xfd\n")
    },
    "a kernel in UTF-16": {
        "spoil": _bytes(KERNEL, lambda data: data.decode().encode("utf-16")),
        "loses": NO_KERNEL,
        "says": ("WGSL has no character",),
    },
}

CELLS: dict[str, dict[str, Any]] = {
    "points and grades in its metadata": {
        # It no longer says which cell sets up, and loses its own import.
        "spoil": _each_cell(_forged_metadata),
        "loses": NO_NOTEBOOK,
        "says": ("is a copy of the cell halve",),
    },
    "grades in its outputs": {"spoil": _each_cell(_forged_outputs)},
    "no check cells": {
        "spoil": _notebook(
            lambda notebook: notebook.update(
                cells=[
                    cell
                    for cell in notebook["cells"]
                    if not cell["metadata"].get("nbgrader", {}).get("grade")
                ]
            )
        )
    },
    "all cells tagged as checks": {
        "spoil": _each_cell(lambda cell: cell["metadata"].update(tags=["check"])),
        "loses": NO_NOTEBOOK,
        "says": ("name 'np' is not defined",),
    },
    "every cell twice": {"spoil": _notebook(_copies), "says": ("is a copy of the cell",)},
    "cells that are none": {"spoil": _notebook(_odd_cell_parts), "says": ("is not a cell and was left out",)},
    "two thousand cells before its own": {
        "spoil": _notebook(_moved_away),
        "loses": NO_NOTEBOOK,
        "says": ("the first 2000 were read",),
    },
    "a cell of a megabyte": {"last": ("x = '" + "y" * 2**20 + "'",), "says": ("too long",)},
    "a right answer after a wrong one": {"double": "return x * 3.0", "last": (DOUBLE,)},
    "a wrong answer after a right one": {
        "last": ("def double(x):\n    return x * 3.0",),
        "loses": {"double": 0.0},
        "says": ("wrong",),
    },
    "a number in place of a function": {
        "last": ("double = 6.0",),
        "loses": {"double": 0.0},
        "says": ("double is not a function but a value of type float",),
    },
    "an object in place of a function": {
        "last": (
            "class Any:\n    __call__ = lambda s, *a: s\n    __getattr__ = lambda s, n: s\ndouble = Any()",
        ),
        "loses": {"double": 0.0},
        "says": ("a value of type Any",),
    },
    "no function any more": {
        "last": ("del double",),
        "loses": {"double": 0.0},
        "says": ("double is not defined",),
    },
    "a cell that exits": {"first": ("import os\nos._exit(0)",), "says": ("Cell 1 ended the Python process",)},
    "a cell that never ends": {"first": ("import time\ntime.sleep(1e6)",), "says": ("Cell 1 did not end",)},
    "definitions that never end": {
        "last": tuple(
            {
                "cell_type": "code",
                "source": f"def f{i}(x=[*iter(int, 1)]): pass",
                "metadata": {"tags": ["demo"]},
            }
            for i in range(2)
        ),
        "says": ("did not end within 2 s",),
    },
    "forty cells that end the process": {
        "first": tuple(f"import os\ndef f{i}(x=os._exit(0)): pass" for i in range(40)),
        "says": ("ended the Python process", "more problems like these"),
    },
    "commands of the notebook": {
        "first": (
            "!touch /tmp/<TRACE>\n%run -i /tmp/<TRACE>\nget_ipython().system('touch /tmp/<TRACE>')\n%%time\n1",
            "%%bash\ntouch /tmp/<TRACE>",
            "%%writefile /tmp/<TRACE>\nx",
            "from IPython import get_ipython\nget_ipython().run_cell_magic('sh', '', 'touch /tmp/<TRACE>')",
        )
    },
    "an attack in a demo cell": {
        "last": (
            {
                "cell_type": "code",
                "source": "import os\nos._exit(0)\nopen('/tmp/by_mallory', 'w')",
                "metadata": {"tags": ["demo"]},
            },
        )
    },
    "an import that writes": {
        "first": (
            "import sys, os\nsys.path.insert(0, '/tmp')\nsys.dont_write_bytecode = False\nimport <TRACE>",
        ),
        "says": ("ModuleNotFoundError",),
    },
}

HINTS: dict[str, dict[str, Any]] = {
    "hints below zero": {
        "spoil": _hints('{"double": -5, "halve": -1e9, "scale_shift.wgsl": -9223372036854775809}')
    },
    "hints that are no numbers": {
        "spoil": _hints('{"double": NaN, "halve": true, "scale_shift.wgsl": {"a": [1]}, "": 3, "\\ud800": 3}')
    },
    "hints beyond all levels": {
        "spoil": _hints('{"double": 1' + "0" * 300 + "}"),
        "loses": {"double": 2.25},
        "says": ("Hints up to level 3 were opened: 0.75 points.",),
    },
    "hints nested without end": {"spoil": _hints("[" * 60_000)},
    "hints of another student": {
        "spoil": _linked("hints_used.json", lambda folder: _other(folder) / NOTEBOOK)
    },
}

TABLE = {**FILES, **TEXTS, **CELLS, **HINTS}


@pytest.fixture(scope="module")
def graded(grade_attacks, classroom):
    # The instructor stands in the very folder that is full of traps.
    trapped = classroom.submissions / "modules and settings beside the work" / STAGE
    trapped.mkdir(parents=True)
    trapped.rmdir()
    return grade_attacks(TABLE, "--hint-cost", HINT_COST, cwd=trapped)


@pytest.mark.parametrize("name", [*TABLE, "aaron", "mira", "zoe"])
def test_a_trick_with_files_earns_what_the_rest_of_the_work_earns(graded, name: str) -> None:
    graded.expect(name)


def test_a_linked_folder_is_nobody_s_work(graded) -> None:
    assert set(graded.records) == set(graded.attacks)


def test_names_of_files_do_not_speak_to_the_terminal(graded) -> None:
    assert "\x1b" not in graded.output
    assert "\x07" not in graded.output


def test_names_of_files_are_text_on_every_page(graded) -> None:
    assert "<img src=x" not in graded.pages(".html")
    assert "<img src=x" not in graded.pages(".md").replace("\\<", "")
    assert "\x1b" not in graded.pages(".html", ".md", ".csv")
