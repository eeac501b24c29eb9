"""Asks whether an output is right (LLM-as-a-judge), in the layout of `AnswerPrompt`, which a base model knows. Pure."""

from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt

YES, NO = "yes", "no"


def verdict_prompt(instruction: str, judged: tuple[tuple[Example, bool], ...], pair: Example) -> AnswerPrompt:
    """The pair behind others with their verdicts; what follows is "yes" or "no"."""
    asked = f'Say "{YES}" if the answer to the input is correct, else "{NO}". The task was: {instruction}'
    shown = tuple(Example(_posed(example), YES if right else NO) for example, right in judged)
    return AnswerPrompt(asked, shown, _posed(pair))


def _posed(pair: Example) -> str:
    return f"{pair.input}\nAnswer: {pair.output}"
