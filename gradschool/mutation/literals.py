"""Which numbers a number is mistaken for."""

from __future__ import annotations

from collections.abc import Iterator

PERCENT = 1.01


def other_numbers(text: str, *, signed: bool = True) -> Iterator[str]:
    """Yield the spellings of the numbers that take the place of the literal `text`.

    A whole number becomes one more, one less and zero. One with a fraction, or one too large or
    small to feel a step of one, is also off by a percent.

    Args:
        text: A decimal literal of Python or WGSL, without suffix.
        signed: Whether a number below zero can be written.
    """
    value = int(text) if text.isdigit() else float(text)
    found = [value + 1, value - 1, 0 * value]
    if isinstance(value, float) and not (value.is_integer() and value < 1e6):
        found.append(value * (PERCENT if value < 1e30 else 1 / PERCENT))
    for number in dict.fromkeys(found):
        if number != value and (signed or number >= 0):
            yield repr(number) if number >= 0 else f"({number!r})"
