"""WGSL as HTML with line numbers; no highlighter that Jupyter carries knows the language."""

from __future__ import annotations

import re
from html import escape

from gradschool.notebook.theme import INK, LINE, LINK, MONO, PAPER, QUIET, SANS, SOFT
from gradschool.release.stubs import YOUR_CODE

_KEYWORDS = (
    "alias break case const const_assert continue continuing default diagnostic discard else enable "
    "false fn for if let loop override requires return struct switch true var while"
)
_TYPES = (
    "array atomic bool f16 f32 function i32 mat2x2f mat3x3f mat4x4f private ptr read read_write storage "
    "u32 uniform vec2 vec2f vec2i vec2u vec3 vec3f vec3i vec3u vec4 vec4f vec4i vec4u workgroup write"
)
_TOKEN = re.compile(
    r"(?P<comment>//.*|/\*.*?(?:\*/|$))"
    r"|(?P<attribute>@\w+)"
    r"|(?P<number>\b(?:0[xX][\da-fA-F]+[iu]?|\d+\.?\d*(?:[eE][+-]?\d+)?[fhiu]?)|(?<![\w.])\.\d+[fh]?)"
    rf"|(?P<keyword>\b(?:{'|'.join(_KEYWORDS.split())})\b)"
    rf"|(?P<type>\b(?:{'|'.join(_TYPES.split())})\b)"
    r"|(?P<call>\b[a-zA-Z_]\w*(?=\())"
)
# Lab's editor colours. Comments hold the contract, which is there to be read: Lab's own teal is too
# faint for that on a dark page.
_COLORS = {
    "comment": QUIET,
    "attribute": "var(--jp-mirror-editor-meta-color, #a2640a)",
    "number": "var(--jp-mirror-editor-number-color, #16803c)",
    "keyword": "var(--jp-mirror-editor-keyword-color, #7a2fa0)",
    "type": "var(--jp-mirror-editor-builtin-color, #0a6c8f)",
    "call": "var(--jp-mirror-editor-def-color, #1f56b0)",
}
_HELP = "Click the name to open it in its own tab. Edit, save, run the check: a changed file is read again."


def kernel_html(filename: str, source: str, link: str | None = None) -> str:
    """Return the kernel as HTML: its name, then numbered lines.

    Args:
        filename: What the file is called.
        source: Its text.
        link: Where it lies relative to the notebook; the name then opens it in Lab.
    """
    lines = source.rstrip("\n").split("\n")
    width = len(str(len(lines)))
    body = "".join(_line(number, line, width) for number, line in enumerate(lines, start=1))
    name = f'<span style="font-family:{MONO};font-weight:600">{escape(filename)}</span>'
    if link is not None:
        name = f'<a href="{escape(link)}" style="color:{LINK}">{name}</a>'
        name += f'&ensp;<span style="color:{QUIET}">{_HELP}</span>'
    return (
        f'<div style="border:1px solid {LINE};border-radius:5px;background:{PAPER};color:{INK};margin:3px 0">'
        f'<div style="background:{SOFT};border-bottom:1px solid {LINE};padding:4px 12px;font-family:{SANS};'
        f'font-size:13px">{name}</div>'
        f'<pre style="font-family:{MONO};font-size:12.5px;line-height:1.45;margin:0;padding:6px 0;'
        f'background:{PAPER};overflow-x:auto;word-break:normal;overflow-wrap:anywhere">{body}</pre></div>'
    )


def kernel_text(filename: str, source: str) -> str:
    """Return the kernel with line numbers, for a terminal."""
    lines = source.rstrip("\n").split("\n")
    width = len(str(len(lines)))
    return "\n".join([filename, *(f"{n:{width}} | {line}" for n, line in enumerate(lines, start=1))])


def folded_kernel_html(filename: str, source: str) -> str:
    """Return the kernel as HTML that opens on a click, for pages on which it is an aside."""
    return (
        f'<details style="margin:4px 0"><summary style="display:list-item;cursor:pointer;font-family:{SANS};'
        f'font-size:13px;color:{QUIET}">{escape(filename)} as handed in</summary>'
        f"{kernel_html(filename, source)}</details>"
    )


def highlight(line: str) -> str:
    """Return one line of WGSL with its tokens coloured."""
    pieces, end = [], 0
    for token in _TOKEN.finditer(line):
        pieces.append(escape(line[end : token.start()], quote=False))
        color = _COLORS[token.lastgroup or "comment"]
        pieces.append(f'<span style="color:{color}">{escape(token[0], quote=False)}</span>')
        end = token.end()
    return "".join(pieces) + escape(line[end:], quote=False)


def _line(number: int, line: str, width: int) -> str:
    # The place to write stands out from the header that it follows.
    here = ";background:rgba(224,163,38,0.22)" if YOUR_CODE in line else ""
    # Lab wraps long lines: what is carried over starts under the code, not under the number.
    hang = f"calc({width}ch + 1.4em)"
    return (
        f'<div style="padding:0 12px 0 calc(12px + {hang});text-indent:calc(-1 * {hang}){here}">'
        f'<span style="display:inline-block;min-width:{width}ch;text-indent:0;'
        f'text-align:right;margin-right:1.4em;color:{QUIET};opacity:0.7;user-select:none">{number}</span>'
        f"{highlight(line)}</div>"
    )
