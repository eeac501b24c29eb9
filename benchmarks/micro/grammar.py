"""A task's inputs as one regular expression: what its file says of itself, so that no run needs the world behind it."""

import re

from benchmarks.micro.benchmark_tasks import BenchmarkTask
from benchmarks.micro.rules import ClassRule, FindRule
from benchmarks.micro.scene import members, pattern_text


def valid_input(task: BenchmarkTask) -> str:
    """Matches (whole text, any case) what the task's rule gives an output for: `BenchmarkTask.truth` is not None."""
    rule = task.rule
    if isinstance(rule, FindRule):
        return "|".join(_with_one(form, rule.group) for form in rule.forms)
    tense = "past" if isinstance(rule, ClassRule) else rule.tense
    return "|".join(pattern_text(form, task.wide_pools, tense) for form in rule.forms)


def _with_one(form: str, group: str) -> str:
    """A list in which one word alone is of the group."""
    wanted = "|".join(sorted(map(re.escape, members(group)), key=len, reverse=True))
    exactly_one = rf"(?=(?:(?!\b(?:{wanted})\b).)*\b(?:{wanted})\b(?:(?!\b(?:{wanted})\b).)*$)"
    return exactly_one + pattern_text(form, {}, "past")
