from hypothesis import given
from hypothesis import strategies as st

from selfguide.tasks.context import Parts, split_context

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
