"""Kernels as lessons use them: callables that follow their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gradschool.errors import KernelError, UsageError
from gradschool.release.stubs import is_unwritten_kernel


class LiveKernel:
    """A kernel that is read again when its file has changed.

    A learner edits the `.wgsl` file beside the notebook, saves it, and runs a cell; the
    cell must see the new text without restarting anything.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kernel: Any = None
        self._text = ""
        self._untried = True

    def __call__(self, **arguments: Any) -> Any:
        """Run the kernel: arrays in by name, the output array out."""
        kernel = self._fresh()
        if is_unwritten_kernel(self._text):
            # It would run and give zeros, which a plot shows as if they were an answer.
            raise KernelError(
                f"{self.path.name} is not written yet.",
                help="Open it, write it, save it, then run this cell.",
            )
        if self._untried:
            from gradschool.notebook.trial import try_out

            try_out(kernel, arguments)
            self._untried = False
        return kernel(**arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._fresh(), name)

    def __repr__(self) -> str:
        return f"<kernel {self.path.name}>"

    def _fresh(self) -> Any:
        try:
            # Comparing text, not times: a file system's clock is too coarse for a quick save.
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(
                f"{self.path.name} cannot be read: {error.strerror}.", help="Put the file back."
            ) from None
        if self._kernel is None or text != self._text:
            from gradschool.gpu import load_kernel

            self._kernel = load_kernel(self.path)
            self._text = text
            self._untried = True
        return self._kernel
