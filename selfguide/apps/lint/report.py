"""How the linter measures prompts and prints its findings."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from selfguide.apps.lint.checks import Encode, Finding
from selfguide.config.serving import ModelConfig
from selfguide.core.errors import SelfguideError
from selfguide.core.types import TaskSpec
from selfguide.tasks.gold import SPLITS, GoldData


def measure_with(model: ModelConfig) -> tuple[Encode | None, int | None, list[Finding]]:
    """The model's tokenizer and context length, or a note that says why prompts are not measured."""
    from selfguide.models.loading import load_prompt_tokenizer
    from selfguide.models.source import context_length

    try:
        limit = context_length(model)
        return load_prompt_tokenizer(model).encode_prompt, limit, []
    except SelfguideError as error:
        return None, None, [Finding("note", "prompt length", f"not measured: {error}")]


def show(task: TaskSpec, gold: GoldData, findings: Sequence[Finding], console: Console | None = None) -> None:
    """A table on a terminal, one line to a finding elsewhere."""
    console = console or Console(file=sys.stdout, highlight=False, soft_wrap=not sys.stdout.isatty())
    counts = ", ".join(f"{gold.count(split)} {split}" for split in SPLITS)
    labels = f", labels {' | '.join(task.labels)}" if task.labels else ""
    console.print(
        Text(f"{task.name}: {task.family}{labels}, {task.metric}, {len(task.demonstrations)} demonstrations, {counts}"),
        soft_wrap=True,
    )
    if console.is_terminal:
        table = Table(show_edge=False)
        for column in ("", "check", "finding"):
            table.add_column(column, overflow="fold")
        for finding in findings:
            style = "yellow" if finding.severity == "warning" else "dim"
            table.add_row(Text(finding.severity, style), Text(finding.check), Text(finding.message))
        console.print(table)
    else:
        for finding in findings:
            console.print(Text(f"{finding.severity}: {finding.check}: {finding.message}"), soft_wrap=True)
    warnings = sum(finding.severity == "warning" for finding in findings)
    by_level = {"warning": warnings, "note": len(findings) - warnings}
    console.print(Text(", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in by_level.items())))
