from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.types import Example, TaskSpec
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.dataset import compose, vanished_labels
from selfguide.synthesis.inspect import label_agreement, warnings_about
from selfguide.synthesis.vote import best_samples, elect, majority, sample_share
from tests.composing import run_config

CONFIG = run_config("task=sni", "task.id=task1", "synthesis=default")
MOOD = TaskSpec("mood", "classification", "?", (Example("x", "good"), Example("y", "bad")), ("good", "bad"))
REWRITE = TaskSpec("rewrite", "generation", "?", (Example("one two", "two one"), Example("a b", "b a")))


def candidate(*texts: str, number: int = 0, label: str | None = None) -> Candidate:
    samples = tuple(Sample(text, -float(place)) for place, text in enumerate(texts))
    return Candidate(str(number), 0, f"input {number}", label, None, samples)


@given(st.lists(st.sampled_from(["a", "bb", "b", "ccc"]), min_size=1, max_size=12), st.integers(0, 8))
def test_majority_is_of_what_was_asked(answers: list[str], lost: int) -> None:
    asked = len(answers) + lost
    winner, share = majority(answers, asked)
    assert winner is not None
    votes = answers.count(winner)
    assert votes == max(answers.count(answer) for answer in answers)
    assert share == votes / asked
    rivals = {answer for answer in answers if answers.count(answer) == votes}
    assert len(winner) == min(map(len, rivals))
    assert majority(answers[::-1], asked) == (winner, share)


def test_no_answers_no_winner() -> None:
    assert majority([], 10) == (None, 0.0)


def test_the_most_likely_samples_vote() -> None:
    samples = [Sample("low", -9.0), Sample("high", -1.0), Sample("middle", -5.0)]
    assert [s.text for s in best_samples(samples, 2)] == ["high", "middle"]
    assert [s.text for s in best_samples(samples, 9)] == ["low", "high", "middle"]


def test_a_label_is_recovered_from_a_sentence() -> None:
    config = replace(CONFIG.annotation, samples=3, best_of=3, min_share=0.5)
    (elected,) = elect(MOOD, [candidate("good", "I'd say it is good.", "bad")], config, CONFIG.filters)
    assert (elected.output, elected.dropped) == ("good", None)
    assert elected.share == pytest.approx(2 / 3)


def test_the_label_that_was_asked_for_may_vote() -> None:
    proposed = [candidate("good", "good", "bad", label="bad"), candidate("what", number=1, label="bad")]
    settings = replace(CONFIG.annotation, samples=3, best_of=3, min_share=0.5, share_of="requested")
    outcomes = {}
    for votes in (0, 1, 2, 9):
        elected = elect(MOOD, proposed, replace(settings, conditioning_label_weight=votes), CONFIG.filters)
        outcomes[votes] = [(one.output, one.dropped) for one in elected]
    assert outcomes[0][0] == ("good", None)
    assert outcomes[1][0] == ("bad", None)  # two to two: the shorter
    assert outcomes[2][0] == outcomes[9][0] == ("bad", None)
    # An input that no sample answers with a label stays unanswered.
    assert all(found[1] == (None, "no_answer_no_label") for found in outcomes.values())


def test_share_of_asked_or_of_survivors() -> None:
    samples = ("good", "nothing here", "nothing at all")
    asked = replace(CONFIG.annotation, samples=3, best_of=3, min_share=0.5, share_of="requested")
    survivors = replace(asked, share_of="survivors")
    (strict,) = elect(MOOD, [candidate(*samples)], asked, CONFIG.filters)
    (loose,) = elect(MOOD, [candidate(*samples)], survivors, CONFIG.filters)
    assert strict.dropped == "low_consistency"
    assert (loose.dropped, loose.share) == (None, 1.0)


def test_every_sample_keeps_its_reason_and_the_candidate_the_commonest() -> None:
    config = replace(CONFIG.annotation, samples=3, best_of=3)
    (elected,) = elect(MOOD, [candidate("", "", "nonsense")], config, CONFIG.filters)
    assert [s.dropped for s in elected.samples] == ["empty", "empty", "no_label"]
    assert elected.dropped == "no_answer_empty"
    assert elected.output is None


def test_generation_votes_by_text_without_wrapping_quotes() -> None:
    config = replace(CONFIG.annotation, samples=3, best_of=3)
    (elected,) = elect(REWRITE, [candidate('"two one"', "two one", "one two")], config, CONFIG.filters)
    assert elected.output == "two one"


def labelled(counts: dict[str, int]) -> list[Candidate]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [replace(candidate(number=n), output=label, share=1.0) for n, label in enumerate(labels)]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_downsampling_leaves_equal_classes_and_marks_the_rest(good: int, bad: int, seed: int) -> None:
    pairs, marked = compose(MOOD, labelled({"good": good, "bad": bad}), CONFIG.annotation, seed)
    outputs = [pair.output for pair in pairs]
    assert outputs.count("good") == outputs.count("bad") == min(good, bad)
    assert sum(c.dropped == "balance" for c in marked) == good + bad - 2 * min(good, bad)
    assert compose(MOOD, labelled({"good": good, "bad": bad}), CONFIG.annotation, seed) == (pairs, marked)


@given(st.integers(1, 9), st.integers(1, 9))
def test_oversampling_repeats_and_drops_nothing(good: int, bad: int) -> None:
    config = replace(CONFIG.annotation, balance="oversample")
    pairs, marked = compose(MOOD, labelled({"good": good, "bad": bad}), config, 0)
    outputs = [pair.output for pair in pairs]
    assert outputs.count("good") == outputs.count("bad") == max(good, bad)
    assert {pair.input for pair in pairs} == {c.input for c in marked}
    assert all(c.dropped is None for c in marked)


@given(st.integers(1, 12))
def test_a_cap_is_even_over_labels(most: int) -> None:
    config = replace(CONFIG.annotation, max_rows=most, balance="off")
    pairs, _ = compose(MOOD, labelled({"good": 9, "bad": 9}), config, 0)
    outputs = [pair.output for pair in pairs]
    assert len(pairs) == most
    assert abs(outputs.count("good") - outputs.count("bad")) <= 1


def test_nothing_left_is_an_empty_set_not_a_crash() -> None:
    dropped = [replace(c, dropped="noise") for c in labelled({"good": 3})]
    assert compose(MOOD, dropped, CONFIG.annotation, 0) == ([], dropped)
    assert "EMPTY" in next(iter(warnings_about(MOOD, dropped, [])))


def test_inputs_that_are_nearly_all_alike_are_reported() -> None:
    things = [f"thing{n}" for n in range(30)]
    alike = [Candidate(t, 0, f"On a fine day the old man bought one more {t} at the shop") for t in things]
    different = [Candidate(t, 0, f"{t} {t[::-1]} {t.upper()}") for t in things]
    pairs = [Example(c.input, "good") for c in alike]
    assert any("30 of 30 accepted inputs nearly repeat another" in said for said in warnings_about(MOOD, alike, pairs))
    assert not any("accepted inputs" in said for said in warnings_about(MOOD, different, pairs))


def test_proposals_that_are_mostly_dropped_are_reported() -> None:
    kept = [Candidate(str(n), 0, f"{n} {n * n}") for n in range(8)]
    bad = [Candidate(f"b{n}", 0, "x", dropped="too_long" if n else "noise") for n in range(12)]
    [said] = [w for w in warnings_about(MOOD, [*kept, *bad], [Example("a", "good")]) if "proposals" in w]
    assert said.startswith("12 of 20 proposals were dropped, 11 as too_long")
    repeated = [replace(one, dropped="duplicate") for one in bad]
    assert not any("were dropped" in w for w in warnings_about(MOOD, [*kept, *repeated], [Example("a", "good")]))


def test_a_vanished_label_is_reported() -> None:
    pairs, marked = compose(MOOD, labelled({"good": 30}), CONFIG.annotation, 0)
    assert vanished_labels(MOOD, pairs) == ("bad",)
    assert any("'bad'" in warning for warning in warnings_about(MOOD, marked, pairs))


def test_label_agreement_counts_voted_inputs_alone() -> None:
    asked = [replace(c, label="good") for c in labelled({"good": 3, "bad": 1})]
    assert label_agreement(asked) == 0.75
    assert label_agreement([candidate(label="good")]) is None


SUMS = TaskSpec(
    "sums", "generation", "?", (Example("1+1", "One and one.\n#### 2"), Example("2+2", "#### 4")),
    metric="numeric_match",
)  # fmt: skip
BARE = replace(CONFIG.filters, output_length="off")


def test_ten_wordings_of_one_number_agree_and_the_most_likely_is_the_output() -> None:
    texts = [f"Way {number}: 7 and 7 are {'$14.0' if number % 2 else '14'}\n#### 14" for number in range(10)]
    voted = candidate(*texts)
    ranked = replace(voted, samples=tuple(replace(s, logprob=-abs(n - 6.0)) for n, s in enumerate(voted.samples)))
    (elected,) = elect(SUMS, [ranked], CONFIG.annotation, BARE)
    assert (elected.share, elected.output, elected.dropped) == (1.0, texts[6], None)
    assert {sample.answer for sample in elected.samples} == {"14"}


@pytest.mark.parametrize(
    ("metric", "same", "other"),
    [
        ("numeric_match", ("so 1/2", "#### 0.5", "half: .50"), "12"),
        ("token_f1", ("the pygmy owl", "Pygmy owl.", "a pygmy owl"), "owl"),
        ("exact_match", ("Stop here", "stop here!"), "stop"),
        ("rouge_l", ("Stop here",), "stop here"),
    ],
)
def test_answers_vote_as_the_metric_reads_them(metric: str, same: tuple[str, ...], other: str) -> None:
    task = replace(REWRITE, metric=metric)
    settings = replace(CONFIG.annotation, samples=len(same) + 1, best_of=len(same) + 1, min_share=0)
    (elected,) = elect(task, [candidate(*same, other)], settings, replace(BARE, noise=False))
    assert [sample.answer == elected.samples[0].answer for sample in elected.samples] == [True] * len(same) + [False]
    if len(same) > 1:
        assert elected.output == same[0], "as often as the others, and the most likely"


def test_votes_on_texts_are_for_the_wording_and_elect_labels_alone() -> None:
    """As the reference: what wins the vote is kept if it is a label as it stands."""
    config = replace(CONFIG.annotation, samples=3, best_of=3, min_share=0.3, share_of="survivors", vote_on="texts")
    inputs = [
        candidate("good.", "Good", "bad"),  # one each: the shortest
        candidate("It is good.", "It is good.", "bad"),
        candidate("good", "good", "bad."),
    ]
    found = [(one.output, one.dropped) for one in elect(MOOD, inputs, config, CONFIG.filters)]
    assert found == [("bad", None), (None, "no_label"), ("good", None)]
    [by_answer] = elect(MOOD, inputs[1:2], replace(config, vote_on="answers"), CONFIG.filters)
    assert by_answer.output == "good"


def test_votes_on_texts_of_a_generation_task_keep_case_and_punctuation_apart() -> None:
    config = replace(CONFIG.annotation, samples=3, best_of=3, min_share=0.3, vote_on="texts")
    filters = replace(CONFIG.filters, output_length="off")
    [elected] = elect(REWRITE, [candidate("b a", "b a.", "b a.")], config, filters)
    assert (elected.output, elected.share) == ("b a.", pytest.approx(2 / 3))
    assert sample_share(REWRITE, elected, config) == pytest.approx(2 / 3)
