"""Chatty answers: sentences around an answer, another word for a label, a question back.

Real instruction models miss a format like this, and not by chance: some ways of asking and some texts invite talk,
and terse demonstrations discourage it.
"""

import random
from collections.abc import Sequence

_OPEN = ("could you", "can you", "do you", "would you", "which", "what", "where", "please", "tell me", "is ")
_INVITING = frozenset(
    ("happily", "proudly", "gladly", "cheerfully", "merrily", "joyfully", "sadly", "angrily", "bitterly", "gloomily")
)
_SENTENCES = ("It is {}.",) * 6 + (
    "It is {}, I think.",
    "It is {}, because the text says so.",
    "I think it is {}.",
    "The answer is {}.",
    "Sure! {}",
)
_BEFORE_SENTENCES = ("Sure! {}", "Sure! {}", "Here it is: {}", "{} Anything else?")
_BACK = ("Do you mean {}?", "Is it {}?")


def likelihood(instruction: str, text: str, shown: int) -> float:
    """How likely a chatty writer is to talk, having seen `shown` terse demonstrations."""
    asked = 0.45 if instruction.lower().startswith(_OPEN) else 0.12
    words = {word.strip(".,!?") for word in text.lower().split()}
    if words & _INVITING or text.endswith("?") or len(words) > 11:
        asked = min(0.9, asked * 2.2)
    return asked * 0.93**shown


def chat(rng: random.Random, answer: str, others: Sequence[str] = ()) -> str:
    """The answer, said at length; `others` are other words for it."""
    if others and rng.random() < 0.35:
        answer = rng.choice(list(others))
        if rng.random() < 0.5:
            return answer
    if answer.endswith((".", "?")):
        return rng.choice(_BEFORE_SENTENCES).format(answer)
    return rng.choice(_BACK if rng.random() < 0.08 else _SENTENCES).format(answer)
