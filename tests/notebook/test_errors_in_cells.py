from __future__ import annotations

import pytest

from gradschool.errors import KernelError
from gradschool.notebook.errors_in_cells import sentences


def test_our_own_errors_are_sentences() -> None:
    error = KernelError("x is float64.", help="Convert it.")
    assert sentences(error) == ["x is float64.", "Convert it."]


def test_calling_a_stub_says_what_to_write() -> None:
    shown = sentences(NotImplementedError("double: your code here"))
    assert shown is not None
    assert shown[0] == "double is not written yet."


def test_other_errors_keep_their_traceback() -> None:
    assert sentences(NotImplementedError("abstract")) is None
    assert sentences(ValueError("x")) is None


def test_a_real_shell_shows_the_sentence_and_no_traceback(capsys) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    from gradschool.notebook.errors_in_cells import install

    shell = InteractiveShell()
    install(shell)
    shell.run_cell("raise NotImplementedError('double: your code here')")
    out = capsys.readouterr().out
    assert "double is not written yet." in out
    assert "Traceback" not in out
    shell.run_cell("raise NotImplementedError('abstract')")
    assert "Traceback" in capsys.readouterr().out


def test_a_figure_begun_before_the_error_is_not_shown_half_drawn(capsys) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="pictures need the lab extra")
    from IPython.core.interactiveshell import InteractiveShell

    from gradschool.notebook.errors_in_cells import install

    shell = InteractiveShell()
    install(shell)
    pyplot.switch_backend("Agg")
    pyplot.subplots()
    shell.run_cell("raise NotImplementedError('double: your code here')")
    assert pyplot.get_fignums() == []
    assert "double is not written yet." in capsys.readouterr().out
