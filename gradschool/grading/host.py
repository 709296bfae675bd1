"""One pytest session that is collected once and run for many submissions.

Starting pytest costs far more than running a stage's tests, so the session stays open
and its items run again for each submission. This is the only module that reaches below
pytest's public interface; what it uses is what `pytest.main` itself calls, in its order.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from _pytest.config import _prepareconfig
from _pytest.runner import runtestprotocol

from gradschool.errors import DeviceError, GradschoolError, PackError, SandboxError

CONFIG = Path(__file__).with_name("pytest.ini")
_PACKAGE = Path(__file__).parents[1]
_ARGS = (
    "-p", "no:cacheprovider", "-p", "no:logging", "-p", "no:warnings", "-p", "no:faulthandler",
    "-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:doctest",
    "--capture=no", "--assert=plain", "--noconftest", "--tb=native", "-q",
)  # fmt: skip


@dataclass(frozen=True)
class CaseResult:
    """One parametrised case of one test.

    Attributes:
        outcome: `error` means the test's own code failed on what the learner returned.
        message: For the learner; "" when passed.
        fault: What failed in this package's own code, which no learner is to blame for.
    """

    test: str
    case: str
    outcome: Literal["passed", "failed", "error"]
    message: str
    fault: str = ""


class Host:
    """A pytest session over some test files, kept open.

    Args:
        files: Test files to collect.
        plugin: The plugin object that provides fixtures.

    Raises:
        PackError: A test file cannot be imported or holds no test.
    """

    def __init__(self, files: Sequence[Path], plugin: object) -> None:
        self._silent = io.StringIO()
        with self._quiet(), _no_plugin_autoload():
            root = str(files[0].parent)
            args = [*_ARGS, "-c", str(CONFIG), "--rootdir", root, *map(str, files)]
            self._config = _prepareconfig(args, [plugin, _Failures()])
            self._session = pytest.Session.from_config(self._config)
            self._config._do_configure()
            self._config.hook.pytest_sessionstart(session=self._session)
            try:
                with _names_of_their_own(files):
                    self._session.perform_collect()
            except pytest.UsageError as error:
                raise PackError(f"The tests cannot be collected: {error}") from error
        failed = self._session.testsfailed
        if failed or not self._session.items:
            text = _collection_errors(self._config) or "no test was found"
            self.close()
            raise PackError(f"The tests of {files[0].parent} cannot be collected: {text}")

    @property
    def items(self) -> list[pytest.Function]:
        """Every collected case, in order."""
        return [item for item in self._session.items if isinstance(item, pytest.Function)]

    def run(self, item: pytest.Function) -> CaseResult:
        """Run one case and return what came of it."""
        with self._quiet():
            # Without a next item everything is torn down: the next case may be any.
            reports = runtestprotocol(item, log=False, nextitem=None)
        test, case = split_name(item)
        for report in reports:
            if report.failed:
                return _failure_of(report, test, case)
            if report.skipped:
                # A skip is never a pass: what was not judged earns nothing.
                return CaseResult(test, case, "error", "This test was skipped; ask your instructor.")
        return CaseResult(test, case, "passed", "")

    def close(self) -> None:
        """End the session."""
        with self._quiet():
            self._config.hook.pytest_sessionfinish(session=self._session, exitstatus=0)
            self._config._ensure_unconfigure()

    @contextlib.contextmanager
    def _quiet(self):
        with contextlib.redirect_stdout(self._silent):
            yield
        self._silent.seek(0)
        self._silent.truncate()


def split_name(item: pytest.Function) -> tuple[str, str]:
    """Return the name of the test function and of its case ("" without parameters)."""
    name = item.originalname or item.name
    case = item.name[len(name) :].strip("[]") if item.name.startswith(name) else ""
    return name, case


def mark_value(item: pytest.Function, mark: str) -> object:
    """Return the single argument of a mark, or None."""
    found = item.get_closest_marker(mark)
    return found.args[0] if found and found.args else None


class _Failures:
    """Keeps the exception itself on a failed report; text alone cannot be shown to a learner."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo):
        report = yield
        if call.excinfo is not None and report.failed:
            report.user_properties.append(("gradschool", call.excinfo.value))
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            _COLLECTION.setdefault(id(report), str(report.longrepr))


_COLLECTION: dict[int, str] = {}


def _collection_errors(config: pytest.Config) -> str:
    text = "\n".join(_COLLECTION.values())
    _COLLECTION.clear()
    return text


def _failure_of(report: pytest.TestReport, test: str, case: str) -> CaseResult:
    error = next((value for name, value in report.user_properties if name == "gradschool"), None)
    if isinstance(error, SandboxError | PackError | DeviceError):
        return CaseResult(test, case, "error", "This test could not be run.", fault=error.message)
    if isinstance(error, GradschoolError) or (isinstance(error, AssertionError) and str(error)):
        return CaseResult(test, case, "failed", str(error))
    if not isinstance(error, BaseException):
        return CaseResult(test, case, "error", "This test could not be run.", fault="no exception was kept")
    name, last = type(error).__name__, traceback.extract_tb(error.__traceback__)[-1]
    if Path(last.filename).is_relative_to(_PACKAGE) or isinstance(error, ImportError):
        fault = f"{name} in {Path(last.filename).name}, line {last.lineno}: {error}"
        return CaseResult(test, case, "error", "This test could not be run.", fault=fault)
    message = (
        f"The check could not use what your function returned ({name} in the check, line {last.lineno})."
    )
    return CaseResult(test, case, "error", message)


@contextlib.contextmanager
def _names_of_their_own(files: Sequence[Path]):
    """Import test files as they are on disk, whatever modules of the same names are loaded.

    Every stage has a `checks.py`. Pytest names modules by their path below the root, and returns one that
    is loaded under that name already: another stage's tests, or the text before an edit.
    """
    names = [path.stem for path in files]
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


@contextlib.contextmanager
def _no_plugin_autoload():
    """Other packages' pytest plugins cost start-up time and have no business in a grading."""
    name = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
