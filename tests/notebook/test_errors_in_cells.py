from __future__ import annotations

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
