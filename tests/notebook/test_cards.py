from __future__ import annotations

import pytest

from gradschool.errors import GradschoolError
from gradschool.grading import records
from gradschool.notebook.cards import check_card, error_card, grade_card


def record(*outcomes: str, message: str = "", misconception: str | None = None) -> records.ExerciseRecord:
    tests = [
        records.TestRecord(
            name=f"test_number_{index}_holds",
            score=1.0 if outcome == "passed" else 0.0,
            max_score=1.0,
            outcome=outcome,  # type: ignore[arg-type]
            message="" if outcome == "passed" else message,
        )
        for index, outcome in enumerate(outcomes)
    ]
    score = float(outcomes.count("passed"))
    return records.ExerciseRecord(
        id="softmax_forward",
        score=score,
        max_score=float(len(outcomes)),
        message=message,
        misconception=misconception,
        tests=tests,
    )


def test_when_everything_passes_one_line_says_so() -> None:
    assert check_card(record("passed", "passed")).text == "✓ softmax_forward: 2 of 2 checks passed"


def test_a_failed_check_shows_its_sentence_and_what_to_try() -> None:
    card = check_card(record("passed", "failed", message="Rows sum to 2.\nDivide by the row's sum."))
    assert card.text.splitlines() == [
        "✗ softmax_forward: 1 of 2 checks passed",
        "  ✓ number 0 holds",
        "  ✗ number 1 holds",
        "      Rows sum to 2.",
        "      Divide by the row's sum.",
    ]
    assert "Divide by the row&#x27;s sum." in card.html


def test_a_message_that_two_tests_share_is_said_once() -> None:
    card = check_card(record("failed", "failed", message="It raised ValueError."))
    assert card.text.count("It raised ValueError.") == 1
    assert card.html.count("It raised ValueError.") == 1


def test_an_untouched_stub_is_not_called_wrong() -> None:
    card = check_card(record("failed", message="softmax_forward is not written yet."))
    assert card.text.startswith("○ softmax_forward: not written yet")
    assert "✗" not in card.text


def test_what_a_learner_printed_cannot_become_markup() -> None:
    card = check_card(record("failed", message="got <script>alert(1)</script> & \x1b[31mred"))
    assert "<script>" not in card.html
    assert "&lt;script&gt;" in card.html
    assert "\x1b" not in card.html + card.text


def test_a_compilers_caret_keeps_its_column() -> None:
    message = "add.wgsl line 3\n  3 | let i = ;\n    |         ^ expected expression"
    card = check_card(record("failed", message=message))
    assert "<pre" in card.html
    assert "          3 | let i = ;" not in card.html
    assert "    |         ^" in card.html


def test_a_grade_card_has_points_and_the_named_mistake_first() -> None:
    help_text = "The maximum is taken over the whole array."
    card = grade_card(record("passed", "failed", message=help_text, misconception="global-max"))
    lines = card.text.splitlines()
    assert lines[0] == "◐ softmax_forward: 1 of 2 points"
    assert lines[1].strip() == help_text
    assert lines[2:4] == ["  ✓ number 0 holds (1/1)", "  ✗ number 1 holds (0/1)"]
    assert card.text.count(help_text) == 1


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    card = error_card("add.wgsl", GradschoolError("There is no such kernel.", help="Put it back."))
    assert card.text.splitlines() == [
        "✗ add.wgsl: could not be checked",
        "    There is no such kernel.",
        "    Put it back.",
    ]


@pytest.mark.parametrize("outcomes", [("passed",), ("failed",), ("error", "passed"), ("not-run",)])
def test_html_is_balanced(outcomes: tuple[str, ...]) -> None:
    for card in (check_card(record(*outcomes, message="m `code`\n  | ^")), grade_card(record(*outcomes))):
        for tag in ("div", "span", "pre", "code"):
            assert card.html.count(f"<{tag}") == card.html.count(f"</{tag}>")
