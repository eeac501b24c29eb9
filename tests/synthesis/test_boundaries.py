"""Filters, judge, votes and budgets exactly at their limits, where one sign decides."""

from dataclasses import replace

from selfguide.config.budget import BudgetConfig
from selfguide.config.loop import JudgeConfig
from selfguide.core.types import Example, TaskSpec
from selfguide.prompts.neighbours import ConditionedPrompt
from selfguide.synthesis.budget import budget_report, fit_rows
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.dataset import compose
from selfguide.synthesis.filters import LengthBand, input_filters
from selfguide.synthesis.judge import Judge, Repetitions, loop_judge
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.replies import closing_cut
from selfguide.synthesis.vote import elect
from selfguide.tasks.labels import extract_label
from tests.composing import run_config

CONFIG = run_config("task=sni", "task.id=task1", "synthesis=default")
MOOD = TaskSpec("mood", "classification", "?", (Example("x", "good"), Example("y", "bad")), ("good", "bad"))
# Mean 10, standard deviation 2.
TEXTS = ["a" * 8, "a" * 12] * 2


def length_band(sigmas: float, floor: float = 0.0) -> LengthBand:
    return LengthBand.around(TEXTS, sigmas, floor, 0.5)


def test_the_ends_of_the_length_band_are_in_it() -> None:
    band = length_band(2.0)
    assert (band.low, band.high) == (6, 14)
    assert [band("a" * length) for length in (5, 6, 14, 15)] == ["too_short", None, None, "too_long"]


def test_the_wider_of_deviation_and_floor_is_the_half_width_not_their_sum() -> None:
    assert (length_band(2.0, 0.3).low, length_band(2.0, 0.3).high) == (6, 14)
    assert (length_band(2.0, 0.5).low, length_band(2.0, 0.5).high) == (5, 15)


def test_the_default_band_is_the_papers_two_deviations() -> None:
    assert CONFIG.filters.length_sigmas == 2.0


def test_a_tasks_own_noise_is_noise_even_where_a_demonstration_has_it() -> None:
    """Unlike a general term, which a demonstration allows."""
    task = TaskSpec("t", "generation", "?", (Example("hello premise", "x"),), noise_terms=("premise",))
    checks = input_filters(task, replace(CONFIG.filters, input_length="off", noise_terms=["hello"]))
    found = {text: next((why for check in checks if (why := check(text))), None) for text in ("a premise", "hello you")}
    assert found == {"a premise": "noise", "hello you": None}


def test_an_input_as_similar_as_the_limit_is_kept() -> None:
    """Three of four words in order: an F1 of 0.75."""
    for limit, expected in ((0.75, None), (0.74, "near_duplicate")):
        seen = Repetitions((), limit)
        seen.compare("a b c d")
        assert seen.near_reason("a b c e") == expected


def test_a_repetition_contradicts_only_another_output() -> None:
    seen = Repetitions(())
    seen.remember("one", None)
    seen.remember("two", "yes")
    outputs = [("one", "no"), ("two", None), ("two", "yes"), ("two", "no"), ("three", "no")]
    assert [seen.copy_reason(*pair) for pair in outputs] == ["duplicate"] * 3 + ["contradiction", None]


def judge(task: TaskSpec, known: tuple[str, ...] = (), **rules: object) -> Judge:
    none = {"selfguide": False, "min_words": 0, "must_contain": None, "answer_leak": False, "overlap": None}
    config = JudgeConfig(**{**none, "novelty": None, "scope": "cumulative", **rules})  # type: ignore[arg-type]
    return loop_judge(task, config, None, known, [Candidate("k", 0, "nine ten eleven twelve", output="good")])


def judged(of: Judge, text: str, output: str) -> str | None:
    return of.judge(Candidate("c", 0, text, output=output), ProposalRequest("r", ConditionedPrompt("?"))).dropped


def test_novelty_is_over_what_was_known_and_what_was_kept() -> None:
    strict = judge(MOOD, ("one two three four",), novelty=0.6)
    assert judged(strict, "one two three five", "good") == "not_novel"
    assert judged(strict, "nine ten eleven eight", "good") == "not_novel"
    assert judged(strict, "five six seven eight", "good") is None
    assert judged(strict, "five six seven nine", "good") == "not_novel", "kept in this round"


def test_a_label_in_the_input_gives_nothing_away() -> None:
    free = TaskSpec("t", "generation", "?", ())
    for task, expected in ((MOOD, None), (free, "answer_leak")):
        assert judged(judge(task, answer_leak=True), "a good day", "good") == expected


def test_what_names_no_label_is_not_remembered_and_what_is_kept_is_by_its_label() -> None:
    strict = judge(MOOD)
    assert judged(strict, "a day", "perhaps") == "no_label"
    assert judged(strict, "a day", "Good.") is None
    assert judged(strict, "a day", "good") == "duplicate", "remembered as the label, not as it was written"


def test_a_quotation_ends_at_its_first_closing_mark() -> None:
    assert closing_cut('one" two” three') == "one"
    assert closing_cut('one” two" three') == "one"


def test_the_conditioning_label_counts_among_the_votes_that_were_requested() -> None:
    config = replace(CONFIG.annotation, samples=2, best_of=2, share_of="requested", min_share=0.0)
    proposed = Candidate("0", 0, "input", "good", None, (Sample("good", -1.0), Sample("nothing", -1.0)))
    [elected] = elect(MOOD, [proposed], replace(config, conditioning_label_weight=2), CONFIG.filters)
    assert elected.share == 3 / 4


def test_a_share_of_exactly_the_threshold_is_consistent() -> None:
    config = replace(CONFIG.annotation, samples=2, best_of=2, share_of="requested", conditioning_label_weight=0)
    proposed = Candidate("0", 0, "input", None, None, (Sample("good", -1.0), Sample("nothing", -1.0)))
    for least, expected in ((0.5, None), (0.51, "low_consistency")):
        assert elect(MOOD, [proposed], replace(config, min_share=least), CONFIG.filters)[0].dropped == expected


def labelled(good: int, bad: int) -> list[Candidate]:
    outputs = ["good"] * good + ["bad"] * bad
    return [Candidate(str(number), 0, f"input {number}", output=output) for number, output in enumerate(outputs)]


def test_oversampling_repeats_all_rows_of_a_label_equally_often() -> None:
    pairs, _ = compose(MOOD, labelled(9, 3), replace(CONFIG.annotation, balance="oversample"), 0)
    texts = [pair.input for pair in pairs]
    assert {texts.count(text) for text in texts if int(text.split()[1]) >= 9} == {3}


def test_a_cap_of_exactly_the_rows_drops_none() -> None:
    config = replace(CONFIG.annotation, balance="off", max_rows=4)
    assert [len(compose(MOOD, labelled(2, count), config, 0)[0]) for count in (2, 3)] == [4, 4]
    assert all(c.dropped is None for c in compose(MOOD, labelled(2, 2), config, 0)[1])


def test_a_token_budget_is_short_only_where_the_longest_answer_would_still_have_fitted() -> None:
    budget = BudgetConfig("equal_tokens", rows=None, tokens=8, steps=None)
    pairs = [Example(str(number), "x") for number in range(3)]
    assert [len(fit_rows(pairs, budget, (), 0, [length] * 3)) for length in (2, 3, 4, 5, 8, 9)] == [3, 2, 2, 1, 1, 0]
    reports = [budget_report(budget, 2, [3, 3], longest=longest) for longest in (2, 3)]
    assert [report and (report.got, report.equal) for report in reports] == [(6, False), (6, True)]


def test_a_label_that_begins_another_does_not_hide_it() -> None:
    for labels in (("not sure", "not"), ("not", "not sure")):
        assert extract_label("I am not sure.", labels, "first_line") == "not sure"
        assert extract_label("It is not so.", labels, "first_line") == "not"
