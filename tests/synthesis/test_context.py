from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.types import Example, TaskSpec
from selfguide.tasks.context import Parts, form, opening, split_context

MARK = "\nQuestion:"


def test_parts() -> None:
    assert split_context("Passage: a b\nQuestion: why?", MARK) == Parts("Passage: a b", "\nQuestion: why?")
    # What a model adds after the first question stays with the target.
    two = split_context("P\nQuestion: why?\nQuestion: who?", MARK)
    assert two == Parts("P", "\nQuestion: why?\nQuestion: who?")


def test_texts_without_form() -> None:
    for text in ("", "Question: why?", "\nQuestion: why?", "Passage\nQuestion: ", "Passage\nQuestion", "Passage"):
        assert split_context(text, MARK) is None
    assert split_context("Passage\nQuestion: why?", None) is None


@given(st.text(), st.text(), st.sampled_from([MARK, "\nHypothesis:", "\nA:"]))
def test_parts_make_the_input_again(context: str, target: str, marker: str) -> None:
    text = f"{context}{marker}{target}"
    parts = split_context(text, marker)
    if parts is not None:
        assert "".join(parts) == text
        assert marker not in parts.context
        assert parts.target.startswith(marker)


def shown(*inputs: str, marker: str | None = MARK) -> TaskSpec:
    return TaskSpec("t", "generation", "?", tuple(Example(text, "x") for text in inputs), context_until=marker)


def test_the_name_of_the_fixed_part_is_that_of_all_demonstrations() -> None:
    assert opening(shown("Passage: a\nQuestion: b", "Passage: c\nQuestion: d")) == "Passage:"
    assert opening(shown("Passage: a\nQuestion: b", "Text: c\nQuestion: d")) is None
    assert opening(shown("Passage: a\nQuestion: b", "c\nQuestion: d")) is None
    assert opening(shown("c\nQuestion: d")) is None
    assert opening(shown("Passage: a", marker=None)) is None


def test_the_form_of_an_input() -> None:
    assert form(shown("Passage: a\nQuestion: b")) == "Passage: …\nQuestion: …"
    assert form(shown("a\nQuestion: b")) == "…\nQuestion: …"
    assert form(shown("a", marker=None)) is None
