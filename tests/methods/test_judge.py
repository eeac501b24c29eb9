"""Which proposals are kept, how a reply is read, and what a passage offers as an answer."""

import pytest

from selfguide.config.loop import JudgeConfig
from selfguide.core.types import Example, TaskSpec
from selfguide.prompts.neighbours import ConditionedPrompt
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.judge import Judge, loop_judge, word_overlap
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.replies import Pair, closing_cut, read_pairs
from selfguide.synthesis.spans import answer_spans

LABELS = ("yes", "no")
TASK = TaskSpec("t", "classification", "Is it?", (Example("It is.", "yes"),), LABELS)
PAIRS = TaskSpec("p", "generation", "Ask.", (), context_until="\nQuestion:")


def config(**more: object) -> JudgeConfig:
    values = {
        "selfguide": False,
        "min_words": 0,
        "must_contain": None,
        "answer_leak": False,
        "overlap": None,
        "novelty": None,
        "scope": "cumulative",
        **more,
    }
    return JudgeConfig(**values)  # type: ignore[arg-type]


def judged(text: str, judge: Judge, output: str | None = "yes", **more: object) -> Candidate:
    request = ProposalRequest("r", ConditionedPrompt("Is it?"), **more)  # type: ignore[arg-type]
    return judge.judge(Candidate("c", 0, text, output=output), request)


def judge_of(task: TaskSpec = TASK, known: tuple[str, ...] = (), kept: tuple[str, ...] = (), **more: object) -> Judge:
    before = [Candidate(f"k{index}", 0, text, output="yes") for index, text in enumerate(kept)]
    return loop_judge(task, config(**more), None, known, before)


QUOTED = ('"A fine day."', "“A fine day.”", 'Input: "A fine day."', "'A fine day.'", '"A fine day.')


@pytest.mark.parametrize("text", QUOTED)
def test_wrapping_quotes_never_stay(text: str) -> None:
    assert judged(text, judge_of()).input == "A fine day."


def test_quotes_around_the_free_part_go_too() -> None:
    judge = judge_of(PAIRS)
    assert judged('"Who came?"', judge, None, start="Ann came.\nQuestion:").input == "Ann came.\nQuestion: Who came?"
    whole = judged('Bob left.\nQuestion: "Who left?"', judge, None)
    assert (whole.input, whole.dropped) == ("Bob left.\nQuestion: Who left?", None)
    echoed = judged("Question: Why so?", judge, None, start="Cy ran.\nQuestion:")
    assert echoed.input == "Cy ran.\nQuestion: Why so?"


def test_the_same_text_but_for_case_and_punctuation_is_a_duplicate() -> None:
    judge = judge_of(kept=("A fine day.",), known=("Known text.",))
    assert judged("a fine DAY", judge).dropped == "duplicate"
    assert judged("a fine DAY", judge, "no").dropped == "contradiction"
    assert judged("known text!", judge).dropped == "copy_of_known"
    assert judged("Another day.", judge).dropped is None
    assert judged("Another, day", judge).dropped == "duplicate", "within the round, too"


def test_novelty_is_of_words_and_of_the_free_part() -> None:
    judge = judge_of(novelty=0.7, kept=("one two three four",))
    assert judged("one two three five", judge).dropped == "not_novel"
    # 0.6 of the words, though nearly all characters are the same.
    assert judged("onex twox three four", judge).dropped is None
    context = "A long passage that every one of these questions is about.\nQuestion:"
    pairs = judge_of(PAIRS, novelty=0.7, kept=(f"{context} Who came home?",))
    assert judged("What did she eat?", pairs, None, start=context).dropped is None


def test_exactly_the_limit_is_still_novel() -> None:
    assert judged("one two x y", judge_of(novelty=0.5, kept=("one two three four",))).dropped is None


def test_copies_of_shown_examples() -> None:
    judge = judge_of(overlap=0.9)
    shown = ("a b c d e f g h i j",)
    assert judged("J i h g f e d c b! and more", judge, shown=shown).dropped == "copy_of_example"
    assert judged("a b c d e f g h and more", judge, shown=shown).dropped is None
    assert word_overlap("A, a b", "a b c d") == 0.5


def test_questions() -> None:
    judge = judge_of(PAIRS, must_contain="?", min_words=2, answer_leak=True)
    start = "Ann came.\nQuestion:"
    assert judged("Who came? Nobody knows.", judge, "Ann", start=start).input == f"{start} Who came?"
    assert judged("Tell me who.", judge, "Ann", start=start).dropped == "without_required_text"
    assert judged("Who?", judge, "Ann", start=start).dropped == "too_few_words"
    assert judged("Did ann come?", judge, "Ann", start=start).dropped == "answer_leak"
    assert judged("Ann came.", judge_of(PAIRS), None, start=start).dropped == "copy_of_context"
    assert judged("A text without its parts", judge_of(PAIRS), None).dropped == "no_context"


def test_an_output_that_names_no_label_is_dropped() -> None:
    assert judged("a text", judge_of(), "perhaps").dropped == "no_label"
    kept = judged("another text", judge_of(), "Yes.")
    assert (kept.dropped, kept.output) == (None, "yes")


def test_an_opened_quotation_ends_where_it_closes() -> None:
    assert closing_cut('A fine day." Review: "bad') == "A fine day."
    assert closing_cut("A fine day\nand more") == "A fine day"
    assert closing_cut("One. Two. Thr") == "One. Two."
    assert closing_cut("no end at all") is None
    assert judged("no end at all", judge_of(), open_quote=True).dropped == "no_end"


def test_what_was_judged_before_is_taken_in_as_it_was() -> None:
    first = judge_of(novelty=0.9)
    rows = [judged(text, first) for text in ("one two three", "four five six")]
    second = judge_of(novelty=0.9)
    for row in rows:
        second.remember(row)
    assert judged("One two three", second).dropped == "duplicate"


def test_pairs_are_read_from_free_text() -> None:
    text = " How many?\nOutput: 5\n\nInput: 2. How much?\nOutput: a\nb"
    assert read_pairs(text, cut=False) == [Pair("How many?", "5"), Pair("2. How much?", "a\nb")]
    listed = '1. Input: a\n   Output: "b"\n\n**Input:** c\n**Output:** d'
    assert read_pairs(listed, cut=False) == [Pair("a", "b"), Pair("c", "d")]


def test_a_cut_or_broken_pair_is_dropped_with_its_reason() -> None:
    cut = read_pairs("a\nOutput: b\nInput: c\nOutput: half of", cut=True)
    assert [pair.dropped for pair in cut] == [None, "cut_off"]
    assert [pair.dropped for pair in read_pairs("a\nInput: b\nOutput:", cut=False)] == ["no_output", "no_output"]
    assert [pair.dropped for pair in read_pairs("a\nOutput: b\nOutput: c", cut=False)] == ["two_outputs"]
    assert read_pairs("", cut=False) == []


def test_spans_of_a_passage() -> None:
    text = "The canal was dug in 1788 by Mira Sand. It cost 1,200 pounds; the Bank of England paid. Ok Graz."
    assert answer_spans(text) == ["1788", "Mira Sand", "1,200", "Bank of England", "Ok Graz"]
    assert answer_spans("Nobody here. Nothing there.") == []
