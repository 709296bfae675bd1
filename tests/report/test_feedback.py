"""What a student reads."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from gradschool.errors import UsageError
from gradschool.report import write_feedback
from gradschool.report.feedback import feedback_html
from gradschool.report.markdown import feedback_markdown
from gradschool.report.view import next_steps

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "`<script>alert(1)</script>`",
    "    </pre><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "</style><script>alert(1)</script>",
]


class Page(HTMLParser):
    """The tags, attributes and visible text of a page."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(data.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        if self.tags[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_leads_with_the_score_and_what_to_do(record):
    text = Page(feedback_html(record)).text
    assert "Stage 1: perceptron" in text
    assert "13 of 25 points" in text
    assert "3 of 8 exercises complete, 3 partly right." in text
    assert text.index("What to do next") < text.index("In detail")
    assert "gradschool check softmax_forward" in text


def test_a_named_mistake_shows_its_sentence_once_in_its_card(record):
    text = Page(feedback_html(record)).text.split("In detail")[1]
    assert text.count("The maximum is taken over the whole array.") == 1
    assert "This is what happened" in text


def test_every_test_is_listed_as_a_sentence_with_its_outcome_in_words(record):
    text = Page(feedback_html(record)).text
    assert "softmax is stable at large scores" in text
    for word in ("passed", "wrong", "error", "not run", "partly right", "not yet"):
        assert word in text


def test_a_message_that_comes_again_is_said_once(make, exercise, hidden_test):
    race = "partial[32] is read before it is written."
    tests = [hidden_test(f"test_{word}", "failed", 1, race) for word in ("a", "b", "c")]
    text = Page(
        feedback_html(make("Kai", [exercise("row_sum.wgsl", tests, "Put a barrier there.", "no-barrier")]))
    ).text
    assert text.count(race) == 1
    assert text.count("As above.") == 2


def test_what_a_compiler_aligned_stays_aligned(record):
    page = feedback_html(record).decode()
    frame = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert frame
    assert "31 │   let row = grup_id.x;\n   │             ^^^^^^^" in frame[1]


def test_problems_come_first(make):
    record = make("Dita", [], max_score=20, status="partial", problems=["The notebook is not JSON.", "Two."])
    text = Page(feedback_html(record)).text
    assert "2 problems with what you handed in" in text
    assert "0 of 20 points" in text
    assert "The notebook is not JSON." in text


def test_a_failure_of_the_grader_is_not_blamed_on_the_student(make):
    record = make("Eva", [], max_score=20, status="not-graded", problems=["The GPU worker did not start."])
    text = Page(feedback_html(record)).text
    assert "not graded" in text
    assert "0 of 20" not in text
    assert "not about your work" in text
    assert "not about your work" in feedback_markdown(record)


def test_full_marks_are_celebrated_and_offer_no_chores(make, exercise, hidden_test):
    record = make("Björk", [exercise("affine_forward", [hidden_test("test_it")])])
    text = Page(feedback_html(record)).text
    assert "Everything passes" in text
    assert "What to do next" not in text
    assert next_steps(record) == []


def test_the_nearest_exercise_is_mended_first(record, make, exercise, hidden_test):
    assert [step.exercise.id for step in next_steps(record)] == [
        "softmax_forward",
        "sgd_step.wgsl",
        "affine_backward",
    ]
    stub = exercise(
        "a", [hidden_test("test_a", "error", 1, "`a` is not written yet.")], "`a` is not written yet."
    )
    wrong = exercise("b", [hidden_test("test_b", "failed", 1, "out has shape (3,).")], "out has shape (3,).")
    steps = next_steps(make("Finn", [stub, wrong]))
    assert [(step.exercise.id, step.reason) for step in steps] == [
        ("b", "out has shape (3,)."),
        ("a", "Not written yet."),
    ]


def test_the_footer_says_where_and_how_it_was_graded(record):
    text = Page(feedback_html(record)).text
    assert "llvmpipe (LLVM 19.1) (a software driver)" in text
    assert "fully isolated" in text
    assert "seed 20240617" in text


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_text_is_shown_and_never_run(make, exercise, hidden_test, attack):
    broken = exercise(attack, [hidden_test(attack, "failed", 1, attack)], f"{attack}\n{attack}", attack)
    record = make(attack.replace("/", ""), [broken], problems=[attack], graded_at=attack)
    page = Page(feedback_html(record))
    assert not {"script", "img", "svg", "iframe", "object", "link", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(value.startswith("#") for name, value in page.attributes if name in ("href", "src"))
    assert " ".join(attack.strip().strip("`").split()) in page.text


def test_the_page_forbids_scripts_and_fetches_nothing(record):
    page = feedback_html(record).decode()
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_control_and_direction_characters_are_dropped(make, exercise, hidden_test):
    evil = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202egnp.exe\u202c nul\x00 \ud800 end"
    record = make("Gus", [exercise("a", [hidden_test("test_a", "failed", 1, evil)])])
    for data in (feedback_html(record).decode(), feedback_markdown(record)):
        assert not {"\x1b", "\x07", "\x00", "\u202e", "\u202c", "\ud800"} & set(data)
        assert "red" in data
        assert "end" in data


def test_an_endless_message_is_cut_and_says_so(make, exercise, hidden_test):
    record = make("Hal", [exercise("a", [hidden_test("test_a", "failed", 1, "A" * 1_000_000)])])
    page = feedback_html(record).decode()
    assert len(page) < 60_000
    assert "996,000 more characters" in page


@pytest.mark.parametrize("attack", HOSTILE)
def test_markdown_holds_no_raw_html(make, exercise, hidden_test, attack):
    record = make(
        "Ida", [exercise("a", [hidden_test("test_a", "failed", 1, attack)], attack)], problems=[attack]
    )
    text = feedback_markdown(record)
    outside = re.sub(r"(`{3,}).*?\1|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<", outside)


def test_a_message_cannot_close_its_code_block(make, exercise, hidden_test):
    attack = "    ```\n    # heading\n    ````"
    text = feedback_markdown(make("Jo", [exercise("a", [hidden_test("test_a", "failed", 1, attack)])]))
    assert "  `````text" in text


def test_markdown_says_the_same_as_the_page(record):
    text = feedback_markdown(record)
    assert text.startswith("# Stage 1: perceptron: Amara Okafor")
    assert "**13 of 25 points**" in text
    assert "1. `softmax_forward` (2 of 5 points): The maximum is taken" in text
    assert "| ✓ complete | `affine_forward` | 3 / 3 | 2 of 2 |" in text
    assert "> The maximum is taken over the whole array." in text
    assert "reduce over the last axis with `keepdims=True`" in text


def test_pages_are_written_beside_the_record(record, tmp_path):
    paths = write_feedback(record, tmp_path)
    assert paths == [
        tmp_path / "Amara Okafor/01_perceptron.html",
        tmp_path / "Amara Okafor/01_perceptron.md",
    ]
    assert all(path.is_file() for path in paths)


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "", ".hidden"])
def test_a_name_that_leaves_the_folder_is_refused(make, tmp_path, name):
    with pytest.raises(UsageError, match="cannot name a file"):
        write_feedback(make(name, []), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_test_that_passed_with_the_courses_functions_says_so(exercise, hidden_test):
    from gradschool.report.view import exercise_view

    record = exercise("attention_forward", [hidden_test("test_attention_values")])
    record.tests[0].stand_ins = ["softmax_forward", "affine_forward"]
    (block,) = exercise_view(record, 1).tests[0].message
    assert "course's own" in str(block)
    assert "softmax_forward" in str(block)
