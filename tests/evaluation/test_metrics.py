"""Golden values, each worked out by hand."""

import pytest

from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.tasks.metrics import score, score_task
from selfguide.tasks.normalization import normalize_answer, unicode_words
from selfguide.tasks.numbers import last_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat, sat!", "the cat sat"),  # articles stay: this is not SQuAD's
        ("B_entails_A", "bentailsa"),
        ("", ""),
        ("  \n", ""),
        ("Grüße – ja", "grüße – ja"),  # only ASCII punctuation goes
    ],
)
def test_official_normalisation(text: str, expected: str) -> None:
    assert normalize_answer(text) == expected


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        ("Yes.", ["yes"], 1.0),
        ("the yes", ["yes"], 0.0),
        ("no", ["maybe", "No!"], 1.0),
        ("", ["yes"], 0.0),
        ("", [""], 1.0),
        ("对。", ["对。"], 1.0),
    ],
)
def test_exact_match(prediction: str, references: list[str], expected: float) -> None:
    assert score("exact_match", prediction, references) == expected


def test_exact_match_of_the_extracted_label() -> None:
    labels = ["neutral", "positive", "negated"]
    assert score("exact_match", "Positive, because it follows.", ["positive"], labels=labels) == 1.0
    assert score("exact_match", "I cannot say", ["neutral"], labels=labels) == 0.0
    assert score("exact_match", "", ["neutral"], labels=labels) == 0.0


def test_accuracy_tells_apart_labels_that_differ_in_punctuation() -> None:
    labels = ["C", "C++"]
    assert score("exact_match", "C++", ["C"], labels=labels) == 1.0
    assert score("accuracy", "C++", ["C"], labels=labels) == 0.0
    assert score("accuracy", "c++", ["C++"], labels=labels) == 1.0


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        # LCS "the cat sat" of 3 and 4 words, "cats" stems to "cat": P 3/3, R 3/4, F 6/7.
        ("the cat sat", ["the cats sat down"], 6 / 7),
        ("the cat sat", ["a dog", "the cat sat"], 1.0),
        # Order counts: LCS of "b a" and "a b" is 1 of 2.
        ("bb aa", ["aa bb"], 0.5),
        ("", ["something"], 0.0),
        ("something", [""], 0.0),
        # Chinese: characters, 3 of 4 in common.
        ("我喜欢猫", ["我喜欢狗"], 0.75),
        # Hindi: words, one of one and two: P 1, R 1/2.
        ("नमस्ते", ["नमस्ते दुनिया"], 2 / 3),
        ("привет мир", ["Привет, мир!"], 1.0),
        # An accent or two leave a text to the official tokenizer: "caf" and "cafe" differ.
        ("cafe noir", ["café noir"], 0.5),
    ],
)
def test_rouge_l(prediction: str, references: list[str], expected: float) -> None:
    assert score("rouge_l", prediction, references) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        ("abc", ["axc"], 2 / 3),
        ("abcd", ["bd"], 2 * 2 / 6),
        ("", ["a"], 0.0),
        ("", [""], 0.0),
        # The reference code knows one reference.
        ("abc", ["x", "abc"], 0.0),
        ("我喜欢猫", ["我喜欢狗"], 0.75),
    ],
)
def test_rouge_l_char(prediction: str, references: list[str], expected: float) -> None:
    assert score("rouge_l_char", prediction, references) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        ("a cat sat", ["the cat sat down"], 2 * 2 / 5),  # articles out: 2 of 2 and 2 of 3
        ("cat cat", ["cat"], 2 / 3),
        ("", ["cat"], 0.0),
        ("the", ["a"], 1.0),  # both empty without articles
        ("dog", ["cat", "dog"], 1.0),
    ],
)
def test_token_f1(prediction: str, references: list[str], expected: float) -> None:
    assert score("token_f1", prediction, references) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        ("The Town-Moor!", ["town moor", "townmoor"], 1.0),  # punctuation goes without a space
        ("The Town Moor", ["a town moor"], 1.0),
        ("Moor Town", ["Town Moor"], 0.0),
        ("in Town Moor", ["Town Moor"], 0.0),
        ("", [""], 1.0),
        ("", ["x"], 0.0),
    ],
)
def test_squad_exact(prediction: str, references: list[str], expected: float) -> None:
    assert score("squad_exact", prediction, references) == expected


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [
        ("First 3, so the answer is 1,234.50.", ["1234.5"], 1.0),
        ("It is -4", ["4"], 0.0),
        ("no number", ["4"], 0.0),
        ("4", ["four", "4.0"], 1.0),
        ("1e3", ["1000"], 1.0),
        # What a comparison of digits and points alone takes for equal.
        ("-5", ["5"], 0.0),
        ("1/2", ["12"], 0.0),
        ("1/2", ["0.5"], 1.0),
        # GSM8K's references are whole solutions.
        ("16 - 3 - 4 = 9, 9 * 2 = 18.", ["16 - 3 - 4 = <<16-3-4=9>>9\n#### 18"], 1.0),
        ("#### 18\n\nAnother problem: 5 apples\n#### 7", ["#### 18"], 1.0),
        ("#### Step 1: 3 apples\n#### 18", ["#### 18"], 1.0),
        ("3 + 4 = 7\n#### seven", ["#### 7"], 0.0),
        ("$1,250,001", ["1250000"], 0.0),
        ("0.333333", ["1/3"], 1.0),
        ("0.33", ["1/3"], 0.0),
        ("1234567", ["1234567.5"], 0.0),
        ("1/0", ["0"], 0.0),
        # A reference without a number.
        ("None.", ["none"], 1.0),
        ("none", ["some"], 0.0),
        ("5", ["five"], 0.0),
    ],
)
def test_numeric_match(prediction: str, references: list[str], expected: float) -> None:
    assert score("numeric_match", prediction, references) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3-4", 4.0),
        ("x = -.5", -0.5),
        ("7.", 7.0),
        ("", None),
        ("1,2", 2.0),
        ("a loss of -$1,000.50", -1000.5),
        ("it is \u22125 degrees", -5),
        ("2 1/2 cups", 2.5),
        ("-2 1/2.", -2.5),
        ("on 3/4/2020", 2020),
        ("10 - 5", 5),
        (r"\boxed{\frac{3}{4}}", 0.75),
        ("#### $1,000 for 3 of them", 1000),
        ("7 ####", None),
        ("25e-2", 0.25),
        ("1e99999", 99999),  # no power that takes the memory of a machine
    ],
)
def test_last_number(text: str, expected: float | None) -> None:
    assert last_number(text) == expected


def test_numbers_longer_than_python_reads() -> None:
    assert score("numeric_match", "9" * 5000, ["9" * 5000]) == 1.0
    assert score("numeric_match", "9" * 5000, ["9" * 4999 + "8"]) == 0.0


def test_unicode_words() -> None:
    assert unicode_words("Don't 東京は2時 cafés") == ["don", "t", "東", "京", "は", "2", "時", "cafés"]
    assert unicode_words("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


def test_score_task_uses_the_task() -> None:
    task = TaskSpec("t", "classification", "?", (Example("a", "yes"),), labels=("yes", "no"))
    assert score_task(task, "Yes, it is", Instance("1", "a", ("yes",))) == 1.0


def test_no_references_is_an_error() -> None:
    with pytest.raises(ValueError, match="no references"):
        score("rouge_l", "a", [])


LABEL_METRICS = ("exact_match", "accuracy")


def test_both_metrics_of_labels_read_the_label_and_no_other_does() -> None:
    scores = [score(m, "It is positive.", ["positive"], labels=("positive", "negative")) for m in LABEL_METRICS]
    assert scores == [1.0, 1.0]
    assert score("rouge_l", "It is positive.", ["positive"], labels=("positive", "negative")) < 1
