"""Instructions of the corpus: some name the rule, many are vague, so that the demonstrations must be read."""

import random
from collections.abc import Sequence

from benchmarks.micro.lexicon import kinds
from benchmarks.micro.rules import ClassRule, FindRule, RewriteRule, Rule, TemplateRule, WordRule
from benchmarks.micro.scene import slots_of

_VAGUE_LABEL = (
    "Label the text.",
    "Choose the label.",
    "Sort the lines.",
    "Give the right label.",
    "Which label is it?",
    "Classify the text.",
    "Use one of the labels.",
    "Put the text in its group.",
    "Decide like the examples.",
    "Tag the input.",
    "Find the group.",
    "Pick a tag.",
)
_VAGUE_OUTPUT = (
    "Do the same.",
    "Follow the examples.",
    "Give the output.",
    "Answer like the examples.",
    "Write the answer.",
    "Change the text.",
    "Go on in the same way.",
    "Do it again.",
    "Use the rule.",
    "Apply the rule.",
    "What comes out?",
    "Write it as shown.",
)
_HINTS = {
    "subject": ("who", "the actor", "who did it"),
    "object": ("the thing", "what it was done to"),
    "objects": ("the things", "what there is"),
    "verb": ("the action", "what was done"),
    "adj": ("the property", "what it is like"),
    "place": ("the place", "where"),
    "time": ("the time", "when"),
    "manner": ("the manner", "how"),
    "companion": ("the companion", "with whom"),
    "number": ("the number", "how many"),
    "weather": ("the weather",),
    "sport": ("the sport", "the game"),
    "tense": ("the tense", "when"),
    "mood": ("the kind of sentence",),
    "list": ("the kind of words",),
    "w1": ("the first word", "the word"),
    "w2": ("the second word",),
    "w3": ("the third word",),
    "w4": ("the fourth word",),
}
_LABEL_BY = ("Label the text by {}.", "Sort by {}.", "Look at {}.", "Choose the label from {}.", "The label tells {}.")
_GIVE = ("Give {}.", "Take out {}.", "Write {}.", "Say {}.", "Find {}.")
_CHANGE = {
    "plural": "Make it many.",
    "singular": "Make it one.",
    "past": "Put it in the past.",
    "third": "Put it in the present.",
    "participle": "Give the participle.",
    "base": "Give the base form.",
}


def draw_instruction(rng: random.Random, rule: Rule, hint: float = 0.35) -> str:
    """An instruction for a rule; it names what to look at with probability `hint`."""
    vague = _VAGUE_LABEL if rule.labels else _VAGUE_OUTPUT
    text = _hint(rng, rule) if rng.random() < hint else rng.choice(vague)
    if rule.labels and rng.random() < 0.3:
        names = list(rule.labels)
        rng.shuffle(names)
        text += f" Labels: {', '.join(names)}."
    return text


def _hint(rng: random.Random, rule: Rule) -> str:
    if isinstance(rule, ClassRule):
        if rng.random() < 0.4 and rule.slot not in ("tense", "mood"):
            return f"Is it {' or '.join(_class_name(c) for c in rule.classes)}?"
        return rng.choice(_LABEL_BY).format(rng.choice(_HINTS[rule.slot]))
    if isinstance(rule, TemplateRule):
        named = [rng.choice(_HINTS[s]) for s in slots_of(rule.template)]
        return rng.choice(_GIVE).format(" and ".join(named))
    if isinstance(rule, FindRule):
        return rng.choice(_GIVE).format(f"the {_class_name((rule.group,))}")
    if isinstance(rule, WordRule):
        return _CHANGE[rule.change]
    if isinstance(rule, RewriteRule):
        return rng.choice((f"Say it in the {rule.to_tense}.", f"Write a {rule.to_mood}.", "Say it in another way."))
    raise TypeError(type(rule))


def _class_name(groups: Sequence[str]) -> str:
    first = groups[0].lstrip("=")
    return first.split(".")[-1] if "." in first or not kinds(first) else first
