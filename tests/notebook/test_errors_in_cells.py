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


STOPPED = "raise NotImplementedError('double: your code here')"


def shown_by_cells(capsys, *cells: str) -> list[str]:
    """What a shell prints for each cell."""
    from IPython.core.interactiveshell import InteractiveShell

    from gradschool.notebook.errors_in_cells import install

    shell = InteractiveShell()
    install(shell)
    printed = []
    for cell in cells:
        shell.run_cell(cell, store_history=True)
        printed.append(capsys.readouterr().out)
    return printed


def test_a_cell_that_needs_a_stopped_cell_says_which_exercise_is_missing(capsys) -> None:
    _, second, third = shown_by_cells(
        capsys, f"{STOPPED}\nlosses = [1]", "worst = max(losses)", "print(worst)"
    )
    assert "needs losses" in second
    assert "It said: double is not written yet." in second
    assert "needs worst" in third
    assert "It said: double is not written yet." in third
    assert "Traceback" not in second + third


@pytest.mark.parametrize("reading", ["runs['a']", "list(runs.values())[3]", "seen()", "a, b = runs"])
def test_half_made_values_are_explained_as_missing_ones_are(capsys, reading: str) -> None:
    before, reads = "blue = '#00f'", "def seen():\n    return blue, runs['a']"
    _, shown = shown_by_cells(capsys, f"{before}\n{reads}\nruns = {{}}\n{STOPPED}\nruns['a'] = 1", reading)
    assert "needs runs" in shown
    assert "Traceback" not in shown


def test_a_cell_that_was_run_again_to_its_end_explains_nothing_any_more(capsys) -> None:
    *_, shown = shown_by_cells(capsys, f"runs = {{}}\n{STOPPED}", "runs = {}", "runs['a']")
    assert "KeyError" in shown
    assert "Traceback" in shown


@pytest.mark.parametrize("wrong", ["unheard_of", "{}['a']", "[][1]", "int('x')", "len(3)"])
def test_errors_that_have_nothing_to_do_with_a_stopped_cell_keep_their_traceback(capsys, wrong: str) -> None:
    _, shown = shown_by_cells(capsys, f"{STOPPED}\nruns = {{}}", wrong)
    assert "Traceback" in shown
    assert "needs" not in shown


def test_an_error_inside_a_library_is_not_blamed_on_a_cell_that_finished(capsys) -> None:
    *_, shown = shown_by_cells(capsys, f"runs = {{}}\n{STOPPED}", "import json\njson.loads('')")
    assert "Traceback" in shown
