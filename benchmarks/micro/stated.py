"""A rule together with the instruction that states it, so that no demonstration is needed."""

from dataclasses import dataclass

from benchmarks.micro.paraphrases import Property
from benchmarks.micro.rules import ClassRule, FindRule, RewriteRule, TemplateRule

StatedRule = ClassRule | FindRule | RewriteRule | TemplateRule


@dataclass(frozen=True)
class Stated:
    """`key` is what the property is about: a slot, a class, a tense or a mood."""

    rule: StatedRule
    instruction: str
    prop: Property
    key: str
