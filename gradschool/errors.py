"""One hierarchy of errors; every message says what is wrong, what was got, what to do.

```
GradschoolError
 ├─ UsageError           a command was called with something it cannot work with
 ├─ PackError            the course's own files are inconsistent (authors see this)
 ├─ DeviceError          no device, or the device failed
 ├─ KernelError          a WGSL kernel does not compile, bind or run
 ├─ SandboxError         a protection is missing or the sandbox itself failed
 └─ SubmissionError      a learner's work cannot be loaded or called
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


class SandboxError(GradschoolError):
    """A protection is missing, or the sandbox itself failed."""


class SubmissionError(GradschoolError):
    """A learner's work cannot be loaded, called, or answered with something that cannot be graded."""
