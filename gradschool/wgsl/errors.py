"""The one error of the WGSL front end: where, what, and what to do."""

from __future__ import annotations

from gradschool.errors import KernelError

WINDOW = 160
MAX_MESSAGE = 600
"""Messages repeat names, and a name can be as long as the source."""


class WgslError(KernelError):
    """A WGSL source does not compile, or asks for more than the interpreter allows.

    Args:
        message: What is wrong and what was got.
        file: Name of the source.
        line: Line, from 1.
        column: Column, from 1.
        source_line: Text of that line, shown above a caret.
        help: What to do next.
        length: Number of characters the caret underlines.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str = "kernel.wgsl",
        line: int = 0,
        column: int = 0,
        source_line: str = "",
        help: str = "",
        length: int = 1,
    ) -> None:
        if len(message) > MAX_MESSAGE:
            message = f"{message[:MAX_MESSAGE]}…"
        super().__init__(message, help=help)
        self.file = file
        self.line = line
        self.column = column
        self.source_line = source_line
        self.length = length

    def __str__(self) -> str:
        if not self.line:
            head = f"{self.file}: {self.message}"
            return f"{head}\nhelp: {self.help}" if self.help else head
        number = str(self.line)
        pad = " " * len(number)
        # Of a very long line only the part around the caret helps.
        start = max(0, self.column - 1 - WINDOW // 2) if len(self.source_line) > WINDOW else 0
        text = self.source_line.expandtabs(1).rstrip()[start : start + WINDOW]
        column = self.column - start
        carets = "^" * max(1, min(self.length, len(text) - column + 1))
        lines = [
            f"{self.file}:{self.line}:{self.column}: {self.message}",
            f"{pad} |",
            f"{number} | {text}",
            f"{pad} | {' ' * (column - 1)}{carets}",
        ]
        if self.help:
            lines.append(f"{pad} = help: {self.help}")
        return "\n".join(lines)


class Source:
    """A source text that turns offsets into lines, columns and errors."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = text.split("\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def line(self, pos: int) -> int:
        """Line number, from 1, of an offset."""
        low, high = 0, len(self._starts) - 1
        while high - low > 1:
            middle = (low + high) // 2
            if self._starts[middle] <= pos:
                low = middle
            else:
                high = middle
        return low + 1

    def line_text(self, line: int) -> str:
        """Text of a line, or an empty string."""
        return self.lines[line - 1] if 0 < line <= len(self.lines) else ""

    def error(self, message: str, pos: int, help: str = "", length: int | None = None) -> WgslError:
        """Make the error that points at an offset; without a length, at the word there."""
        line = self.line(pos)
        if length is None:
            length, text = 0, self.text
            while pos + length < len(text) and (text[pos + length].isalnum() or text[pos + length] == "_"):
                length += 1
        return WgslError(
            message,
            file=self.file,
            line=line,
            column=pos - self._starts[line - 1] + 1,
            source_line=self.line_text(line),
            help=help,
            length=max(1, length),
        )
