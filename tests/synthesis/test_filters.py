import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.text import normalised, strip_field_name, strip_quotes
from selfguide.core.types import Example, TaskSpec
from selfguide.prompts.selfguide import InputPrompt
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.filters import (
    LengthBand,
    Noise,
    empty,
    first_reason,
    input_filters,
    output_filters,
)
from selfguide.synthesis.judge import input_judge
from selfguide.synthesis.proposals import ProposalRequest
from tests.composing import run_config

FILTERS = run_config("task=sni", "task.id=task1").filters


def task(*inputs: str, family: str = "generation", **more: object) -> TaskSpec:
    return TaskSpec("t", family, "Do it.", tuple(Example(text, "out put") for text in inputs), **more)  # type: ignore[arg-type]


@given(st.lists(st.text()))
def test_a_filter_remembers_nothing(texts: list[str]) -> None:
    demonstrations = ("one two three", "four five", "six seven eight nine")
    checks, fresh = (input_filters(task(*demonstrations), FILTERS) for _ in range(2))
    forwards = [first_reason(checks, text) for text in texts]
    assert [first_reason(fresh, text) for text in reversed(texts)] == forwards[::-1]


@given(st.text())
def test_strip_quotes_is_idempotent_and_only_removes_ends(text: str) -> None:
    stripped = strip_quotes(text)
    assert strip_quotes(stripped) == stripped
    assert stripped in text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ('"A man sleeps."', "A man sleeps."),
        ("“A man sleeps.”", "A man sleeps."),
        ("«Bonjour»", "Bonjour"),
        ('"yes" and "no"', '"yes" and "no"'),
        ("it's", "it's"),
        ('"', '"'),
        ('  "spaced"  ', "spaced"),
    ],
)
def test_wrapping_quotes(raw: str, clean: str) -> None:
    assert strip_quotes(raw) == clean


@pytest.mark.parametrize("raw", ["Input: x y", "input : x y", "**Input:** x y", "New input: x y", "x y"])
def test_field_name_is_taken_off(raw: str) -> None:
    assert strip_field_name(raw) == "x y"


@given(st.text("abcXYZ019 .,!?-'\"()"), st.text())
def test_normalised_texts_compare_like_people_do(plain: str, any_text: str) -> None:
    """By their words, whatever their case and what stands between them."""
    words = re.findall("[a-z0-9]+", plain.lower())
    if words:
        assert normalised(plain) == normalised(plain.swapcase()) == " ".join(words)
    assert normalised(f"  {any_text} \n") == normalised(any_text)
    assert bool(normalised(any_text)) == bool(unicodedata.normalize("NFKC", any_text).strip())
    assert normalised("+") != normalised("-")
    assert normalised("It's  fine!") == normalised("it's fine")


def test_length_band_counts_characters_and_includes_its_ends() -> None:
    band = LengthBand.around(["a" * 8, "a" * 10, "a" * 12], sigmas=2.0, floor=0.0, fallback=0.5)
    sigma = (8 / 3) ** 0.5
    assert (band.low, band.high) == pytest.approx((10 - 2 * sigma, 10 + 2 * sigma))
    assert band("a" * 7) is None
    assert band("a" * 6) == "too_short"
    assert band("a" * 14) == "too_long"


@pytest.mark.parametrize("texts", [["a" * 10], ["a" * 8, "a" * 12], ["a" * 10] * 5])
def test_length_band_never_collapses(texts: list[str]) -> None:
    band = LengthBand.around(texts, sigmas=0.1, floor=0.0, fallback=0.5)
    assert band("a" * 6) is None
    assert band("a" * 15) is None
    assert band("a" * 16) == "too_long"


def test_length_floor_widens_a_narrow_band_with_enough_texts() -> None:
    texts = ["a" * 9, "a" * 10, "a" * 11, "a" * 10]
    assert LengthBand.around(texts, 2.0, 0.0, 0.5)("a" * 14) == "too_long"
    assert LengthBand.around(texts, 2.0, 0.5, 0.5)("a" * 14) is None


def test_noise_is_whole_words_and_leaves_the_tasks_own_words() -> None:
    noise = Noise(["hello", "task:"], seen=[])
    assert noise("Well, HELLO there") == "noise"
    assert noise("Othello is a play") is None
    assert noise("the Task: write") == "noise"
    assert Noise(["hello"], seen=["Say hello to me"])("hello again") is None
    assert Noise([])("anything") is None


def test_task_noise_terms_do_not_leak_between_tasks() -> None:
    first = input_filters(task("one two three", noise_terms=("premise",)), FILTERS)
    second = input_filters(task("one two three"), FILTERS)
    assert first_reason(first, "premise one") == "noise"
    assert first_reason(second, "premise one") is None


def test_length_is_on_for_classification_inputs_and_generation_outputs() -> None:
    long = "word " * 100
    classification = task("one two", "three four", "five six seven", family="classification", labels=("out put",))
    generation = task("one two", "three four", "five six seven")
    assert first_reason(input_filters(classification, FILTERS), long) == "too_long"
    assert first_reason(input_filters(generation, FILTERS), long) is None
    assert first_reason(output_filters(generation, FILTERS), long) == "too_long"
    assert first_reason(output_filters(classification, FILTERS), long) is None


def test_the_judge_knows_demonstrations_and_everything_accepted() -> None:
    judge = input_judge(task("A cat."), replace(FILTERS, near_duplicates=0.8, input_length="off"))
    request = ProposalRequest("r", InputPrompt("Do it.", ()))

    def dropped(text: str) -> str | None:
        return judge.judge(Candidate("c", 0, text), request).dropped

    assert dropped("a  CAT") == "copy_of_demonstration"
    assert dropped("a dog sat on the old mat") is None
    assert dropped("A dog sat on the old mat!") == "duplicate"
    assert dropped("a dog sat on the new mat") == "near_duplicate"
    assert dropped("seven birds flew over our house") is None


def test_empty() -> None:
    assert empty(" \n") == "empty"
    assert empty("x") is None


def test_the_rule_of_the_reference_counts_case_and_blank_lines() -> None:
    """Substrings of the text as it is: what the user lists and the task's terms."""
    config = replace(FILTERS, noise_rule="reference", noise_terms=["Hm", "Of course!"])
    shown = task("Of course! Said he.", "b", "c", noise_terms=("input", "\n\n", "\\_\\_"))
    checks = {name: input_filters(shown, replace(config, noise_rule=name)) for name in ("reference", "words")}

    def noisy(rule: str, text: str) -> bool:
        return first_reason(checks[rule], text) == "noise"

    for text in ("Of course! Yes.", "one\n\ntwo", "inputs", "a \\_\\_ b", "Hmm", "Of course! Not."):
        assert noisy("reference", text), text
    for text in ("of course! yes.", "one\ntwo", "Input", "hm", "Hello, how can I help you?", "plain"):
        assert not noisy("reference", text), text
    assert [text for text in ("one\n\ntwo", "inputs", "Hmm", "Of course! Not.") if noisy("words", text)] == []
    assert noisy("words", "Input") and noisy("words", "hm") and noisy("words", "Hello, how can I help you?")
