"""One hierarchy of errors; every message says what is wrong, what was got, what to do.

```
GradschoolError
 ├─ UsageError           a command was called with something it cannot work with
 ├─ PackError            the course's own files are inconsistent (authors see this)
 ├─ DeviceError          no device, or the device failed
 ├─ KernelError          a WGSL kernel does not compile, bind or run
 ├─ SandboxError         a protection is missing or the sandbox itself failed
 │   └─ WireError        a frame between two processes is malformed, too large or late
 └─ SubmissionError      a learner's work cannot be loaded or called
     ├─ MissingFunction  an exercise is not defined
     ├─ NotWritten       it still raises NotImplementedError
     ├─ CallFailed       it raised an exception
     ├─ CallTimeout      it did not return in time
     ├─ BadOutput        it returned something other than plain data
     ├─ OutputTooLarge   it returned more than is accepted
     └─ WorkerDied       the process it ran in ended
```
"""

from __future__ import annotations


class GradschoolError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        message: What is wrong and what was got, as one sentence.
        help: What to do next, as one sentence; shown after the message.
    """

    def __init__(self, message: str, *, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return f"{self.message}\n{self.help}" if self.help else self.message


class UsageError(GradschoolError):
    """A command or function was called with something it cannot work with."""


class PackError(GradschoolError):
    """The course's own files are inconsistent."""


class DeviceError(GradschoolError):
    """No device could be opened, or the device failed."""


class KernelError(GradschoolError):
    """A WGSL kernel does not compile, does not fit its contract, or failed to run."""


class KernelCompileError(KernelError):
    """The text of a kernel is not valid WGSL, or not the kernel its contract describes.

    Args:
        message: What is wrong and what was got, with the line and a caret below it.
        help: What to do next.
        filename: The learner's file.
        line: 1-based line in that file, or None when it is about the whole file.
        column: 1-based column, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        help: str = "",
        filename: str = "",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.filename = filename
        self.line = line
        self.column = column


class KernelLimitError(KernelError):
    """A kernel asks for more than WebGPU's default limits or the grader allow."""


class KernelTimeout(KernelError):
    """A kernel did not end in time."""


class KernelCrashed(KernelError):
    """The driver, or the process that held it, died while a kernel ran."""


class SandboxError(GradschoolError):
    """A protection is missing, or the sandbox itself failed."""


class SubmissionError(GradschoolError):
    """A learner's work cannot be loaded, called, or answered with something that cannot be graded."""


class WireError(SandboxError):
    """A frame between two processes is malformed, too large or late."""


class MissingFunction(SubmissionError):
    """The submission defines no function of this name."""


class NotWritten(SubmissionError):
    """The function is still the stub, or calls one that is: NotImplementedError was raised.

    Args:
        message: What is wrong, as one sentence.
        help: What to do next.
        function: The function that is not written, as far as it said.
    """

    def __init__(self, message: str, *, help: str = "", function: str = "") -> None:
        super().__init__(message, help=help)
        self.function = function


class CallFailed(SubmissionError):
    """The learner's function raised an exception.

    Args:
        message: What is wrong, as one sentence.
        help: What to do next.
        exception_type: Name of the exception's class, such as `ValueError`.
        exception_bases: Names of that class and of all it derives from.
        exception_text: The exception's own message.
        cell: Index of the notebook cell it came from, or None.
        line: Line in that cell, or None.
        trace: The learner's own frames, one line each, outermost first.
    """

    def __init__(
        self,
        message: str,
        *,
        help: str = "",
        exception_type: str = "",
        exception_bases: tuple[str, ...] = (),
        exception_text: str = "",
        cell: int | None = None,
        line: int | None = None,
        trace: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, help=help)
        self.exception_type = exception_type
        self.exception_bases = exception_bases
        self.exception_text = exception_text
        self.cell = cell
        self.line = line
        self.trace = trace


class CallTimeout(SubmissionError):
    """The learner's function did not return in time."""


class BadOutput(SubmissionError):
    """The learner's function returned something other than plain data."""


class OutputTooLarge(SubmissionError):
    """The learner's function returned more than is accepted."""


class WorkerDied(SubmissionError):
    """The process that runs the learner's code ended: exit, crash or limit."""
