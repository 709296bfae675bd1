from __future__ import annotations

import re
from html import unescape

import pytest

from gradschool.notebook.wgsl_html import highlight, kernel_html


@pytest.mark.parametrize(
    "line",
    [
        '@group(0) @binding(1) var<storage, read> x: array<f32>; // x < 3 && y > "2"',
        "  let s = x[i] * 1.5e-3f + .5 + 0x1Fu;",
        "/* a comment */ if (i >= params.n) { return; }",
        "",
    ],
)
def test_highlighting_changes_no_character(line: str) -> None:
    assert unescape(re.sub(r"<[^>]*>", "", highlight(line))) == line


def test_words_inside_a_comment_are_not_keywords() -> None:
    assert highlight("// for each row").count("<span") == 1


def test_a_field_named_like_a_number_is_left_alone() -> None:
    assert "number" not in highlight("v.x0")
    assert highlight("v.xy") == "v.xy"


def test_the_name_is_a_link_and_the_place_to_write_stands_out() -> None:
    html = kernel_html("add.wgsl", "fn main() {\n  // YOUR CODE HERE\n}\n", "add.wgsl")
    assert '<a href="add.wgsl"' in html
    assert html.count("background:rgba(224,163,38") == 1
    assert html.count('<div style="padding:0 12px') == 3
