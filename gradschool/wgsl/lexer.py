"""Text to tokens."""

from __future__ import annotations

import re
from typing import NamedTuple

from gradschool.wgsl.errors import Source, WgslError

MAX_SOURCE_BYTES = 64 * 1024

KEYWORDS = frozenset(
    [
        "alias",
        "break",
        "case",
        "const",
        "const_assert",
        "continue",
        "continuing",
        "default",
        "diagnostic",
        "discard",
        "else",
        "enable",
        "false",
        "fn",
        "for",
        "if",
        "let",
        "loop",
        "override",
        "requires",
        "return",
        "struct",
        "switch",
        "true",
        "var",
        "while",
    ]
)

# The specification reserves these words for later; every implementation refuses them as names.
RESERVED = frozenset(
    [
        "NULL",
        "Self",
        "abstract",
        "active",
        "alignas",
        "alignof",
        "as",
        "asm",
        "asm_fragment",
        "async",
        "attribute",
        "auto",
        "await",
        "become",
        "cast",
        "catch",
        "class",
        "co_await",
        "co_return",
        "co_yield",
        "coherent",
        "column_major",
        "common",
        "compile",
        "compile_fragment",
        "concept",
        "const_cast",
        "consteval",
        "constexpr",
        "constinit",
        "crate",
        "debugger",
        "decltype",
        "delete",
        "demote",
        "demote_to_helper",
        "do",
        "dynamic_cast",
        "enum",
        "explicit",
        "export",
        "extends",
        "extern",
        "external",
        "fallthrough",
        "filter",
        "final",
        "finally",
        "friend",
        "from",
        "fxgroup",
        "get",
        "goto",
        "groupshared",
        "highp",
        "impl",
        "implements",
        "import",
        "inline",
        "instanceof",
        "interface",
        "layout",
        "lowp",
        "macro",
        "macro_rules",
        "match",
        "mediump",
        "meta",
        "mod",
        "module",
        "move",
        "mut",
        "mutable",
        "namespace",
        "new",
        "nil",
        "noexcept",
        "noinline",
        "nointerpolation",
        "non_coherent",
        "noncoherent",
        "noperspective",
        "null",
        "nullptr",
        "of",
        "operator",
        "package",
        "packoffset",
        "partition",
        "pass",
        "patch",
        "pixelfragment",
        "precise",
        "precision",
        "premerge",
        "priv",
        "protected",
        "pub",
        "public",
        "readonly",
        "ref",
        "regardless",
        "register",
        "reinterpret_cast",
        "require",
        "resource",
        "restrict",
        "self",
        "set",
        "shared",
        "sizeof",
        "smooth",
        "snorm",
        "static",
        "static_assert",
        "static_cast",
        "std",
        "subroutine",
        "super",
        "target",
        "template",
        "this",
        "thread_local",
        "throw",
        "trait",
        "try",
        "type",
        "typedef",
        "typeid",
        "typename",
        "typeof",
        "union",
        "unless",
        "unorm",
        "unsafe",
        "unsized",
        "use",
        "using",
        "varying",
        "virtual",
        "volatile",
        "wgsl",
        "where",
        "with",
        "writeonly",
        "yield",
    ]
)

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
  | (?P<comment>/\*)
  | (?P<hexfloat>0[xX](?:[0-9a-fA-F]*\.[0-9a-fA-F]+(?:[pP][+-]?[0-9]+[fh]?)?
      |[0-9a-fA-F]+\.[0-9a-fA-F]*(?:[pP][+-]?[0-9]+[fh]?)?|[0-9a-fA-F]+[pP][+-]?[0-9]+[fh]?))
  | (?P<hex>0[xX][0-9a-fA-F]+[iu]?)
  | (?P<float>(?:[0-9]*\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][+-]?[0-9]+)?[fh]?|[0-9]+[eE][+-]?[0-9]+[fh]?|[0-9]+[fh])
  | (?P<int>[0-9]+[iu]?)
  | (?P<ident>[^\W\d]\w*)
  | (?P<op>->|&&|\|\||<<=|>>=|<<|>>|<=|>=|==|!=|\+\+|--|\+=|-=|\*=|/=|%=|&=|\|=|\^=|[-+*/%&|^~!<>=.,;:(){}\[\]@])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """One token: `kind` is int, float, hex, hexfloat, ident, keyword, op or end."""

    kind: str
    text: str
    pos: int


def _skip_block_comment(source: Source, start: int) -> int:
    depth, pos, text = 1, start + 2, source.text
    while depth:
        opened, closed = text.find("/*", pos), text.find("*/", pos)
        if closed < 0:
            raise source.error("this comment never ends", start, "close it with */", 2)
        if 0 <= opened < closed:
            depth, pos = depth + 1, opened + 2
        else:
            depth, pos = depth - 1, closed + 2
    return pos


def tokenize(source: Source) -> list[Token]:
    """Split a source into tokens, ending with one of kind `end`.

    Raises:
        WgslError: The source is too long, or holds a character that WGSL does not know.
    """
    text = source.text
    n_bytes = len(text.encode("utf-8", "surrogatepass"))
    if n_bytes > MAX_SOURCE_BYTES:
        raise WgslError(
            f"the source is {n_bytes} bytes long; the limit is {MAX_SOURCE_BYTES}",
            file=source.file,
            help="shorten the kernel: use loops and functions in place of repeated text",
        )
    tokens: list[Token] = []
    pos, end = 0, len(text)
    while pos < end:
        found = _TOKEN.match(text, pos)
        if found is None:
            raise source.error(f"WGSL has no character {text[pos]!r} here", pos, "remove it", 1)
        kind = found.lastgroup or ""
        if kind == "comment":
            pos = _skip_block_comment(source, pos)
            continue
        if kind != "space":
            word = found.group()
            if kind == "ident" and word in KEYWORDS:
                kind = "keyword"
            elif kind == "ident" and word.startswith("__"):
                raise source.error(
                    f"a name cannot start with two underscores: {word}",
                    pos,
                    "rename it",
                )
            elif kind in ("int", "float", "hex", "hexfloat"):
                _check_number(source, found, kind)
            tokens.append(Token(kind, word, pos))
        pos = found.end()
    tokens.append(Token("end", "the end of the file", end))
    return tokens


def _check_number(source: Source, found: re.Match[str], kind: str) -> None:
    word, after = found.group(), source.text[found.end() : found.end() + 1]
    if after.isalnum() or after == "_":
        raise source.error(
            f"{word}{after} is not a number",
            found.start(),
            "suffixes are i, u, f and h",
        )
    if kind == "int" and len(word.rstrip("iu")) > 1 and word[0] == "0":
        raise source.error(
            f"a decimal number has no leading zero: {word}",
            found.start(),
            "remove the zeros",
        )
