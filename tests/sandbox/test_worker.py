"""What an honest notebook sees, and what its mistakes are called."""

from __future__ import annotations

import numpy as np
import pytest

from gradschool.errors import BadOutput, CallFailed, MissingFunction, NotWritten, OutputTooLarge, SandboxError
from gradschool.sandbox import FunctionRef, Seed

SETUP = """
import numpy as np
import matplotlib.pyplot as plt
from jaxtyping import Float
from tqdm.auto import tqdm
import gradschool as gs
gs.start("01_perceptron")
%matplotlib inline
"""


def test_a_notebook_is_loaded_and_called(load):
    worker = load(
        ("setup", SETUP),
        'def f(x: Float[np.ndarray, "n"]):\n    """Doc."""\n    return 2 * x, {"n": len(x)}',
        "gs.check('f')\nplt.plot(f(np.ones(3))[0])\nplt.show()",
    )
    assert worker.report.problems == ()
    assert worker.has("f")
    value = worker.call("f", (np.arange(3.0),)).value
    np.testing.assert_array_equal(value[0], [0, 2, 4])
    assert value[1] == {"n": 3}


def test_plotting_cells_run_without_drawing(load):
    worker = load(
        SETUP,
        "fig, axes = plt.subplots(2, 3)\n"
        "for ax in axes.flat:\n    line, = ax.plot([1, 2]); ax.set(title='x')\n"
        "with plt.style.context('dark'):\n    fig.savefig('out.png')\n"
        "total = sum(tqdm(range(5)))\nplt.show()\ndisplay(fig)",
        "from ipywidgets import interact\n@interact(x=(0, 5))\ndef g(x=1):\n    return x + 1\n",
        "def get_total(): return total",
    )
    assert worker.report.problems == ()
    assert worker.call("get_total").value == 10


def test_demo_cells_only_define(load):
    worker = load(
        ("demo", "RATE = 0.1\ndef rate(): return RATE\nraise ValueError('this ran')"), ("check", "1 / 0")
    )
    assert worker.report.problems == ()
    assert worker.call("rate").value == 0.1


def test_a_syntax_error_loses_one_cell(load):
    worker = load("def a(): return 1", "x = 1\ndef b(:\n    return 2", "def c(): return 3")
    assert worker.call("a").value == 1
    assert worker.call("c").value == 3
    (cell,) = worker.report.problems
    assert (cell.index, cell.line, cell.lost, cell.exception_type) == (1, 2, ("b",), "SyntaxError")
    with pytest.raises(MissingFunction, match="Cell 2, line 2 raised SyntaxError"):
        worker.call("b")


def test_an_error_in_a_cell_keeps_what_came_before_it(load):
    worker = load("def a(): return 1\n1 / 0\ndef b(): return 2", "def c(): return a() + 2")
    (cell,) = worker.report.problems
    assert (cell.defines, cell.lost, cell.line) == (("a",), ("b",), 2)
    assert "ZeroDivisionError" in cell.error
    assert worker.call("c").value == 3


def test_a_library_that_is_not_there_costs_only_its_own_line(load):
    worker = load("import no_such_library\nimport numpy as np\nEPS = 1e-5", "def f(): return np.float64(EPS)")
    (cell,) = worker.report.problems
    assert "No module named 'no_such_library'" in cell.error
    assert worker.call("f").value == 1e-5


def test_annotations_may_be_postponed(load):
    worker = load("from __future__ import annotations\nimport numpy as np\ndef f(x: np.Nonsense): return x")
    assert worker.report.problems == ()
    assert worker.call("f", (1,)).value == 1


def test_the_last_definition_counts(load):
    assert load("def f(): return 1", "def f(): return 2").call("f").value == 2


def test_mistakes_are_told_with_cell_and_line(load):
    worker = load("", "def helper(x):\n    raise ValueError(f'bad {x}')\n", "def f(x):\n    return helper(x)")
    with pytest.raises(CallFailed) as caught:
        worker.call("f", (3,))
    error = caught.value
    assert (error.exception_type, error.exception_text, error.cell, error.line) == (
        "ValueError",
        "bad 3",
        1,
        2,
    )
    assert str(error) == "f raised ValueError: bad 3 (cell 2, line 2)"
    assert error.trace == (
        "line 2, in f: return helper(x)",
        "line 2, in helper: raise ValueError(f'bad {x}')",
    )


def test_a_subclass_of_the_promised_error_says_so(load):
    worker = load("class ShapeError(ValueError): pass\ndef f(): raise ShapeError('no')")
    with pytest.raises(CallFailed) as caught:
        worker.call("f")
    assert "ValueError" in caught.value.exception_bases


def test_a_stub_is_not_written_yet(load):
    with pytest.raises(NotWritten, match="f is not written yet"):
        load("def f(): raise NotImplementedError('f: your code here')").call("f")


def test_a_missing_function_and_a_shadowed_one_are_told_apart(load):
    worker = load("softmax = [1, 2]")
    with pytest.raises(MissingFunction, match="not defined in the notebook"):
        worker.call("affine")
    with pytest.raises(MissingFunction, match="value of type list"):
        worker.call("softmax")


def test_wrong_arguments_are_the_function_s_error(load):
    with pytest.raises(CallFailed, match=r"TypeError.*positional"):
        load("def f(a, b): return a").call("f", (1,))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("np.array([1, None])", "dtype object"),
        ("np.ma.ones(3)", "MaskedArray"),
        ("{1, 2}", "set"),
        ("f", "function"),
        ("(1, [np.ones(2), object()])", r"type object at \[1\]\[1\]"),
        ("type('Any', (), {'__eq__': lambda s, o: True})()", "type Any"),
    ],
)
def test_what_is_not_data_is_refused_by_name(load, body, what):
    with pytest.raises(BadOutput, match=what):
        load(f"import numpy as np\ndef f(): return {body}").call("f")


def test_too_much_output_is_refused_with_its_size(load):
    worker = load(
        "import numpy as np\ndef f(): return np.broadcast_to(np.zeros(1), (20_000, 65_536))\ndef g(): return 1"
    )
    with pytest.raises(OutputTooLarge, match="10,000 MiB"):
        worker.call("f")
    assert worker.call("g").value == 1


def test_changed_inputs_come_back_changed(load):
    worker = load(
        "def f(x, params, y, *, z):\n    x += 1\n    params['w'] = 0\n    z.append(1)\n    return y"
    )
    x = np.zeros(2)
    result = worker.call("f", (x, {"w": np.ones(2)}, np.ones(2)), {"z": [0]})
    assert result.changed == (0, 1, "z")
    np.testing.assert_array_equal(result.inputs_after[0], [1, 1])
    assert result.inputs_after[1] == {"w": 0}
    np.testing.assert_array_equal(x, [0, 0])


def test_an_input_changed_to_something_unsendable_counts_as_changed(load):
    result = load("def f(x):\n    x.append(object())").call("f", ([1],))
    assert result.changed == (0,)
    assert result.inputs_after[0] != [1]


def test_a_cache_goes_there_and_back(load):
    worker = load(
        "def forward(x): return x * 2, (x, {'n': 3, 'mask': x > 0})\ndef backward(d, cache): return d * cache[0]"
    )
    out, cache = worker.call("forward", (np.arange(3.0),)).value
    np.testing.assert_array_equal(worker.call("backward", (out, cache)).value, [0, 2, 8])


def test_randomness_and_functions_are_arguments(load):
    worker = load("def f(rng, g, h): return g(rng.random(3)), h(2)\ndef triple(x): return 3 * x")
    value = worker.call("f", (Seed(5), np.square, FunctionRef("triple"))).value
    np.testing.assert_array_equal(value[0], np.random.default_rng(5).random(3) ** 2)
    assert value[1] == 6
    with pytest.raises(CallFailed, match="the function nope is not defined"):
        worker.call("f", (Seed(5), np.square, FunctionRef("nope")))


def test_an_argument_that_cannot_travel_is_the_grader_s_error(load):
    with pytest.raises(SandboxError, match="argument 0"):
        load("def f(x): return 1").call("f", (object(),))


def test_prints_and_warnings_are_kept_beside_the_result(load):
    worker = load(
        "import numpy as np, sys\ndef f():\n    print('a')\n    print('b', file=sys.stderr)\n    return np.log(0.0)"
    )
    result = worker.call("f")
    assert result.stdout == "a\nb\n"
    assert result.value == -np.inf
    assert result.warnings == ("RuntimeWarning: divide by zero encountered in log",)
    assert worker.call("f").stdout == "a\nb\n"


def test_state_stays_between_calls_and_goes_with_a_restart(load):
    worker = load("n = 0\ndef count():\n    global n\n    n += 1\n    return n")
    assert [worker.call("count").value for _ in range(3)] == [1, 2, 3]
    worker.restart()
    assert worker.call("count").value == 1


def test_workers_start_equal(load):
    source = "import numpy as np, random\ndef f(): return random.random(), float(np.random.rand()), list({'a', 'b', 'c'})"
    assert load(source).call("f").value == load(source).call("f").value


def test_nan_and_scalars_arrive_as_they_are(load):
    value = load("import numpy as np\ndef f(): return np.nan, np.float32(2), 2.0, True, None").call("f").value
    assert np.isnan(value[0])
    assert [type(part) for part in value[1:]] == [np.float32, float, bool, type(None)]


def test_a_module_beside_the_work_is_not_imported(load, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert load("import os, numpy\ndef f(): return [os.getcwd(), numpy.__name__]").call("f").value == [
        "/",
        "numpy",
    ]
