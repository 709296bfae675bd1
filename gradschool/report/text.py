"""Text from untrusted places, made safe to show.

Messages quote a student's exceptions and prints. HTML pages escape everything by default;
here is what escaping alone does not do: control characters, text that runs backwards,
endless lines, Markdown and spreadsheet formulas.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

MAX_MESSAGE = 4000
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CODE_SPAN = re.compile(r"(`[^`\n]+`)")
_MARKDOWN = re.compile(r"([\\*_{}\[\]<>#|~$`!])")
_LIST_START = re.compile(r"^(\s*)([-+=>]|\d+[.)])", re.MULTILINE)
# A line that lost its place in a proportional font would mean nothing: carets, arrows, code frames.
_ALIGNED = re.compile(r"^(\s{2,}|\t|[│┌├╰└|^~=-]|\d+\s*[│|])")


@dataclass(frozen=True)
class Block:
    """A piece of a message: a sentence to read, or lines whose columns matter."""

    kind: Literal["text", "code"]
    text: str


def clean(text: str, limit: int = MAX_MESSAGE) -> str:
    """Drop escape codes, control and direction characters from `text`, and cut it at `limit`."""
    cut = len(text) - limit
    text = _ANSI.sub("", text[: limit * 2]).replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in _HIDDEN)
    if cut > 0:
        kept = f"{kept[:limit].rstrip()} … ({cut:,} more characters)"
    return kept.strip("\n")


_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn")


def blocks(message: str) -> list[Block]:
    """Split a message into sentences and aligned lines, such as a compiler's caret."""
    found: list[Block] = []
    for line in clean(message).split("\n"):
        kind = "code" if _ALIGNED.match(line) else "text"
        if found and found[-1].kind == kind == "code":
            found[-1] = Block("code", f"{found[-1].text}\n{line}")
        elif line.strip():
            found.append(Block(kind, line.rstrip()))
    return found


def spans(line: str) -> list[tuple[bool, str]]:
    """Split a sentence at its `code spans`; each piece says whether it is code."""
    return [
        (bool(index % 2), piece.strip("`") if index % 2 else piece)
        for index, piece in enumerate(_CODE_SPAN.split(line))
        if piece
    ]


def first_line(message: str, limit: int = 200) -> str:
    """Return the first line of `message` that says something."""
    lines = [line.strip() for line in clean(message).split("\n") if line.strip()]
    if not lines:
        return ""
    return lines[0] if len(lines[0]) <= limit else f"{lines[0][: limit - 1].rstrip()}…"


def markdown(text: str) -> str:
    """Escape one line for Markdown; `code spans` stay, everything else is plain text."""
    line = " ".join(clean(text).split())
    pieces = [f"`{piece}`" if code else _MARKDOWN.sub(r"\\\1", piece) for code, piece in spans(line)]
    return _LIST_START.sub(r"\1\\\2", "".join(pieces))


def fenced(text: str) -> str:
    """Return `text` as a Markdown code block that it cannot close itself."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def csv_cell(value: object) -> object:
    """Return a value a spreadsheet cannot run: text that starts a formula gets a quote before it."""
    if not isinstance(value, str):
        return value
    text = clean(value).replace("\n", " ")
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@", "|", "%") else text


def points(value: float) -> str:
    """Return a score as people write it: `3`, `2.5`, `0.33`."""
    return f"{round(value, 2):g}" if abs(value) < 1e5 else f"{value:.0f}"


def percent(score: float, max_score: float) -> int:
    """Return a share in whole percent, never rounded up to 100 nor down to 0."""
    if max_score <= 0 or score <= 0:
        return 0
    share = 100 * score / max_score
    return 100 if share >= 100 else min(99, max(1, round(share)))


def test_sentence(name: str) -> str:
    """Turn a test's name into words: `test_rows_sum_to_one` says `rows sum to one`."""
    words = clean(name.split("::")[-1], 200).split("[")[0]
    return words.removeprefix("test_").replace("_", " ").strip() or name


test_sentence.__test__ = False  # type: ignore[attr-defined]  # pytest: a function, not a test


def stage_title(stage: str) -> str:
    """Turn a stage id into words: `01_perceptron` says `Stage 1: perceptron`."""
    number, _, word = stage.partition("_")
    return f"Stage {int(number)}: {word.replace('_', ' ')}" if number.isdigit() else stage
