# ruff: noqa: E501 (tables)
"""The many ways to ask for one thing. A paraphrase is a sentence with a name put in; each belongs to one part."""

import random
from functools import cache
from typing import Literal

from benchmarks.micro.names import CLASS_NAMES, SLOT_NAMES
from benchmarks.micro.parts import Part, part_of

Property = Literal["kind", "value", "find", "tense", "mood", "replace", "drop", "front"]

# "{}" is what is looked at, "{classes}" the classes to tell apart.
_KIND = (
    "Is {} {classes}?", "Sort by {}: {classes}.", "Look at {}: {classes}?", "Label {} as {classes}.",
    "Choose {classes} for {}.", "Which is {}: {classes}?", "Decide whether {} is {classes}.",
    "Classify {} as {classes}.", "Say if {} is {classes}.", "Read the text. Is {} {classes}?",
    "What kind is {}: {classes}?", "Tell {classes} apart by {}.", "Put {} under {classes}.", "Mark {}: {classes}.",
    "Pick {classes} by {}.", "Tag the text by {}: {classes}.", "Only {} counts: {classes}.",
    "Answer {classes}. Judge by {}.", "Judge {}: {classes}.", "Group the texts by {}: {classes}.",
    "Take {} and say {classes}.", "Assign {classes} to {}.", "The label depends on {}: {classes}.",
    "Check {}. Is it {classes}?", "Would you call {} {classes}?", "Please sort {} into {classes}.",
    "Use {} to choose {classes}.", "Can you tell if {} is {classes}?", "Name the kind of {}: {classes}.",
    "Do you think {} is {classes}?", "Find {} and label it {classes}.", "Give the class of {}: {classes}.",
    "Sort {} as {classes}.", "Compare {} with {classes}.",
)  # fmt: skip
_VALUE = (
    "Give {}.", "Take out {}.", "Write {}.", "Say {}.", "Name {}.", "Tell me {}.", "State {}.", "Extract {}.", "Copy {}.",
    "Return {}.", "Show {}.", "Read the text and give {}.", "From the text, take {}.", "Answer with {} alone.",
    "Write down {} only.", "Please give {}.", "I need {}.", "We only want {}.", "Report {}.", "Pick out {}.",
    "Look for {} and write it.", "The answer is {}.", "Output {}.", "Note {}.", "Keep {} and drop the rest.",
    "Reply with {}.", "Could you tell me {}?", "Do you know {}?", "Can you find {}?", "Which words say {}?",
    "Repeat {} and nothing else.", "Search the text for {}.",
)  # fmt: skip
_FIND = (
    "Find the {}.", "Which word is {}?", "Give the word for {}.", "Take the {} word.", "Pick the {}.", "Write the {} word.",
    "Search for {}.", "One word is {}: write it.", "Name the one that is {}.", "Look for the {} word.",
    "Only one is {}. Which?", "Where is the {}? Copy it.", "Say which is {}.", "Copy the {} word.", "Extract the {}.",
    "Keep the {} word alone.", "Choose what is {}.", "Return the {} one.", "Show me the {}.", "Can you spot the {}?",
)  # fmt: skip
_TENSE = (
    "Put it in the {}.", "Say it in the {}.", "Write it in the {}.", "Change the tense to {}.", "Turn it into the {}.",
    "Make it {}.", "Use the {}.", "Rewrite it in the {}.", "Tell it in the {}.", "Move it to the {}.", "The {}, please.",
    "Give the sentence in the {}.", "Repeat the sentence in the {}.", "Set the verb to the {}.", "Shift it to the {}.",
    "Could you say it in the {}?", "The same in the {}.", "Change it to {} tense.", "Now in the {}.", "Use {} tense.",
)  # fmt: skip
_TENSE_NAMES = {
    "past": ("past", "simple past", "time before now", "perfected past", "earlier time", "form of yesterday", "told form",
             "past form", "past tense form", "finished time"),
    "present": ("present", "simple present", "time of now", "habit form", "daily form", "form of today", "running time",
                "present form", "present tense form", "usual time"),
    "future": ("future", "simple future", "time to come", "planned form", "coming time", "form of tomorrow", "later time",
               "future form", "future tense form", "will form"),
}  # fmt: skip
_MOOD_NAMES = {
    "question": ("question", "yes or no question", "query", "asking sentence", "question with did", "question form",
                 "asked form", "did question", "interrogative", "enquiry"),
    "denial": ("denial", "negative", "negation", "sentence with not", "statement that it did not happen", "not form",
               "negated form", "negative sentence", "denied form", "did not form"),
}  # fmt: skip
_MOOD = (
    "Make it a {}.", "Turn it into a {}.", "Write a {}.", "Say it as a {}.", "Change it to a {}.", "Give the {}.",
    "Rewrite it as a {}.", "Form a {}.", "Use a {}.", "Put it as a {}.", "Build a {}.", "The {}, please.",
    "Could you make it a {}?", "Express it as a {}.", "Now the {}.", "State it as a {}.", "The same as a {}.",
    "Phrase it as a {}.", "Convert it into a {}.", "Repeat it as a {}.",
)  # fmt: skip
_REPLACE = (
    "Change {} to {word}.", "Replace {} by {word}.", "Put {word} for {}.", "Use {word} as {}.", "Let {} be {word}.",
    "Set {} to {word}.", "Write {word} instead of {}.", "Swap {} for {word}.", "Make {} {word}.", "Say {word} for {}.",
    "Rewrite it with {word} as {}.", "Exchange {} for {word}.", "Turn {} into {word}.", "Always write {word} as {}.",
    "With {word} as {}, please.", "Correct {} to {word}.", "Update {} to {word}.", "Fix {} as {word}.",
    "Can you change {} to {word}?", "Substitute {word} for {}.", "Edit {}: {word}.", "Give {word} in place of {}.",
    "Copy it, but {} is {word}.", "The same with {word} as {}.", "Repeat it with {word} as {}.",
    "Everything stays, {} becomes {word}.", "Say it again with {word} as {}.", "Insert {word} for {}.",
    "Put {word} where {} was.", "Enter {word} as {}.", "We want {word} as {}.", "Have {word} as {}.",
    "Take {word} for {}.", "Show {word} as {}.",
)  # fmt: skip
_DROP = (
    "Leave out {}.", "Drop {}.", "Remove {}.", "Say it without {}.", "Delete {}.", "Skip {}.", "Cut {}.", "Omit {}.",
    "Write it without {}.", "Take {} away.", "Forget {}.", "Copy it without {}.", "Do not mention {}.", "Strike {} out.",
    "Repeat it without {}.", "Hide {}.", "Everything but {}.", "Keep all except {}.", "Please leave out {}.",
    "Shorten it by {}.", "Could you leave out {}?", "No word of {}, please.", "Give the sentence without {}.",
    "Erase {}.", "Rewrite it without {}.", "Pass over {}.", "The same without {}.", "Clear {}.", "Withhold {}.",
    "Say nothing of {}.", "Tell it without {}.", "Lose {}.", "All of it but {}.", "Ignore {} and copy the rest.",
)  # fmt: skip
_FRONT = (
    "Begin with {}.", "Start with {}.", "Put {} first.", "Move {} to the front.", "Lead with {}.", "Open with {}.",
    "Say {} first.", "First {}, then the rest.", "Let {} come first.", "Place {} at the start.", "Bring {} forward.",
    "Write {} in front.", "Rewrite it with {} first.", "Set {} at the beginning.", "Pull {} to the front.",
    "Name {} before the rest.", "Please begin with {}.", "Could you begin with {}?", "Turn it so that {} leads.",
    "Shift {} to the start.", "Repeat it with {} in front.", "The sentence opens with {}.", "{} goes first.",
    "Mention {} first.", "Mention {} before all else.", "Give {} first, then the rest.", "Head it with {}.",
    "Carry {} to the front.", "The same with {} first.", "Reorder it: {} first.", "Let it begin with {}.",
    "Have {} first.", "Show {} first.", "Tell it with {} first.",
)  # fmt: skip
_SENTENCES: dict[Property, tuple[str, ...]] = {
    "kind": _KIND, "value": _VALUE, "find": _FIND, "tense": _TENSE, "mood": _MOOD, "replace": _REPLACE, "drop": _DROP,
    "front": _FRONT,
}  # fmt: skip


def names_for(prop: Property, key: str) -> tuple[str, ...]:
    """The names that fit into this property's sentences: of a slot, a class, a tense or a mood."""
    if prop == "find":
        return CLASS_NAMES[key]
    if prop in ("tense", "mood"):
        return (_TENSE_NAMES if prop == "tense" else _MOOD_NAMES)[key]
    # A clause such as "who did it" is something to tell, and nothing else.
    return SLOT_NAMES[key] if prop == "value" or key.startswith("w") else SLOT_NAMES[key][:-1]


@cache
def paraphrases(prop: Property, key: str, part: Part) -> tuple[str, ...]:
    """All that `part` may ask with: the sentences with a name of `key` in place of "{}"."""
    named = (sentence.replace("{}", name) for sentence in _SENTENCES[prop] for name in names_for(prop, key))
    texts = tuple(text[0].upper() + text[1:] for text in named)
    return tuple(text for text in texts if part_of("paraphrase", text) == part)


def draw_paraphrase(rng: random.Random, prop: Property, key: str, part: Part) -> str:
    """One of them."""
    return rng.choice(paraphrases(prop, key, part))
