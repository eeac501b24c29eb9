"""A text that was cut by its length limit is dropped as `cut_off`: an input, a pair, an answer, a condition."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.errors import PromptTooLongError
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Completion
from selfguide.prompts.neighbours import ConditionedPrompt, JointPrompt
from selfguide.prompts.selfguide import InputPrompt
from selfguide.synthesis.attributes import _finished
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.judge import loop_judge
from selfguide.synthesis.lengths import LEAST, token_limit
from selfguide.synthesis.outputs import _row
from selfguide.synthesis.proposals import ProposalPrompt, ProposalRequest
from selfguide.synthesis.vote import elect
from tests.composing import run_config

RUN = run_config("method=loop", "task=sni", "task.id=task1", "synthesis=default")
TASK = TaskSpec("mood", "classification", "?", (Example("x", "good"), Example("y", "bad")), ("good", "bad"))


def judged(
    prompt: ProposalPrompt, text: str, finish: str, must_contain: str | None = None, quote: bool = False
) -> list[str | None]:
    rules = replace(RUN.method.filter, selfguide=False, novelty=None, must_contain=must_contain)  # type: ignore[attr-defined]
    request = ProposalRequest("0", prompt, label="good", inherits=True, open_quote=quote, count=9)
    judge = loop_judge(TASK, rules, None, [])
    completion = Completion(text, (), 0.0, finish)  # type: ignore[arg-type]
    return [judge.judge(candidate, request).dropped for candidate in request.candidates(completion)]


@pytest.mark.parametrize(
    ("prompt", "text", "options", "cut", "whole"),
    [
        (InputPrompt("?", ()), "baskets baskets bask", {}, ["cut_off"], [None]),
        (ConditionedPrompt("?", "good"), "It was a fine da", {}, ["cut_off"], [None]),
        (ConditionedPrompt("?", "good"), 'It was fine." And the', {"quote": True}, [None], [None]),
        (ConditionedPrompt("?", "good"), "It was fine. And the", {"quote": True}, [None], [None]),
        (ConditionedPrompt("?", "good"), "It was fi", {"quote": True}, ["no_end"], ["no_end"]),
        (ConditionedPrompt("?", "good"), "Who was it? He wa", {"must_contain": "?"}, [None], [None]),
        (JointPrompt("?"), "a\nOutput: good\nInput: b\nOutput: ba", {}, [None, "cut_off"], [None, "no_label"]),
    ],
)
def test_a_proposal(
    prompt: ProposalPrompt, text: str, options: dict[str, str], cut: list[str], whole: list[str]
) -> None:
    assert judged(prompt, text, "length", **options) == cut  # type: ignore[arg-type]
    assert judged(prompt, text, "stop", **options) == whole  # type: ignore[arg-type]


def test_half_an_answer_has_no_vote() -> None:
    rows = [_row(Completion(text, (), -1.0, finish)) for text, finish in (("good", "stop"), ("bad", "length"))]  # type: ignore[arg-type]
    samples = tuple(Sample(*row) for row in rows)
    settings = replace(RUN.annotation, samples=2, best_of=2, min_share=0.5)
    for voters, expected in ((samples, ("good", None)), (samples[1:], (None, "no_answer_cut_off"))):
        [elected] = elect(TASK, [Candidate("0", 0, "z", samples=voters)], settings, RUN.filters)
        assert (elected.output, elected.dropped) == expected
        assert elected.samples[-1].dropped == "cut_off"


def test_a_list_loses_the_line_in_which_it_was_cut() -> None:
    assert _finished([Completion("it is dull\nit is lo", (), 0.0, "length")]) == "it is dull"
    assert _finished([Completion("a film about be", (), 0.0, "length")]) == ""
    assert _finished([Completion("a film\nbees", (), 0.0, "stop")]) == "a film\nbees"
    with pytest.raises(PromptTooLongError):
        _finished([])


@given(st.lists(st.text(max_size=300), max_size=4))
def test_the_limit_follows_the_task_unless_set(texts: list[str]) -> None:
    limit = token_limit(None, texts)
    assert limit >= LEAST and all(len(text.encode()) <= limit for text in texts)
    assert limit == LEAST or limit in {len(text.encode()) for text in texts}
    assert token_limit(7, texts) == 7
