import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.types import LabelExtraction
from selfguide.tasks.labels import extract_label, normalized_label

NLI = ("entailment", "not entailment", "neutral")
YES_NO = ("yes", "no")


@pytest.mark.parametrize(
    ("text", "labels", "rule", "expected"),
    [
        # exact: case, white space and outer punctuation alone may differ
        ("Yes.", YES_NO, "exact", "yes"),
        (" **YES** \n", YES_NO, "exact", "yes"),
        ("yes it is", YES_NO, "exact", None),
        ("not   Entailment", NLI, "exact", "not entailment"),
        # first_line: the first label named in the first line with text
        ("\n\nNo, the eyes are closed.\nyes", YES_NO, "first_line", "no"),
        ("I would say so.\nyes", YES_NO, "first_line", None),
        ("notes on nothing", YES_NO, "first_line", None),
        ("It is not entailment but neutral", NLI, "first_line", "not entailment"),
        ("The answer: entailment", NLI, "first_line", "entailment"),
        ("", YES_NO, "first_line", None),
        ("  \n ", YES_NO, "first_line", None),
        # last_occurrence: whole words anywhere
        ("yes or no?\nProbably yes. Nobody knows.", YES_NO, "last_occurrence", "yes"),
        ("this is not entailment", NLI, "last_occurrence", "not entailment"),
        # reference: substrings, case as given
        ("no, the eyes are closed", YES_NO, "reference", "yes"),
        ("No", YES_NO, "reference", None),
        ("Neutral. Cannot say", ("C", "N"), "reference", "C"),
        # one letter: the right case, unless it is everything
        ("a man walks", ("A", "B"), "first_line", None),
        ("I choose B", ("A", "B"), "first_line", "B"),
        ("b", ("A", "B"), "first_line", "B"),
        # numbers are not cut out of numbers
        ("1.5", ("1", "5"), "first_line", None),
        ("10", ("1", "0"), "first_line", None),
        ("1. The first one", ("1", "2"), "first_line", "1"),
        ("-1", ("1", "2"), "last_occurrence", None),
        # a number in prose is no answer; at the beginning, or behind a marker, it is
        ("Sentence 1: A man. Sentence 2: A dog.", ("1", "2"), "first_line", None),
        ("Statement: X. Choices: 1. A 2. B 3. C", ("1", "2", "3"), "last_occurrence", None),
        ("3 men walk, 2 sit", ("2", "3"), "first_line", None),
        ("**2** since 1 is wrong", ("1", "2"), "first_line", "2"),
        ("(1), not 2", ("1", "2"), "last_occurrence", "1"),
        ("Of Sentence 1 and Sentence 2 the answer is **2**.", ("1", "2"), "first_line", "2"),
        ("Sentence 1 fits.\nAnswer: 1", ("1", "2"), "last_occurrence", "1"),
        ("Answer 1 is wrong", ("1", "2"), "first_line", None),
        # labels with underscores, punctuation, other scripts
        ("B_entails_A", ("B_entails_A", "A"), "first_line", "B_entails_A"),
        ("so x > y", ("<", ">"), "first_line", ">"),
        ("答案是肯定的", ("肯定", "否定"), "first_line", "肯定"),
        ("Ответ: ДА", ("да", "нет"), "first_line", "да"),
        ("non-toxic", ("toxic", "safe"), "first_line", None),
        ("True", ("False", "True"), "first_line", "True"),
        # a model that writes an underscore as a space means the same label
        ("It is not entailment", ("entailment", "not_entailment"), "first_line", "not_entailment"),
        ("b-entails-a.", ("B_entails_A", "B_neutral_A"), "first_line", "B_entails_A"),
        # labels that differ in case alone: the spelling decides
        ("us", ("US", "us"), "first_line", "us"),
    ],
)
def test_golden(text: str, labels: tuple[str, ...], rule: LabelExtraction, expected: str | None) -> None:
    assert extract_label(text, labels, rule) == expected


def test_no_labels_is_an_error() -> None:
    with pytest.raises(ValueError, match="no labels"):
        extract_label("yes", (), "exact")


words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@given(st.lists(words, min_size=2, max_size=5, unique=True), st.data())
def test_a_label_is_recovered_from_itself(labels: list[str], data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(labels))
    for rule in ("exact", "first_line", "last_occurrence"):
        assert extract_label(f" {label}\n", labels, rule) == label


@given(st.text(max_size=60), st.lists(words, min_size=2, max_size=4, unique=True))
def test_never_anything_but_a_label(text: str, labels: list[str]) -> None:
    for rule in ("exact", "first_line", "last_occurrence", "reference"):
        assert extract_label(text, labels, rule) in (None, *labels)


def test_labels_of_punctuation_stay_apart() -> None:
    assert normalized_label("!?") == "!?" != normalized_label("?!")
    assert extract_label("?!", ("!?", "?!"), "exact") == "?!"
