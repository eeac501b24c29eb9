"""The commands: what each is called, what it does, where it is."""

from typing import NamedTuple


class Verb(NamedTuple):
    """`function` of `module` does it. Bare words after the verb are the values of `named`, in their order."""

    module: str
    about: str
    config: str | None = None
    named: tuple[str, ...] = ()
    function: str = "main"


VERBS = {
    "run": Verb("selfguide.main", "make data for a task, finetune on them, evaluate", "config", ("task",), "job"),
    "lint": Verb("selfguide.apps.lint.command", "find what would spoil the result of a task", "lint", ("task",)),
    "plan": Verb(
        "selfguide.apps.plan.command",
        "forecast a run from a small round, or a table from its settings",
        "plan",
        ("task",),
    ),
    "sweep": Verb("selfguide.main", "search for one setting that suits several tasks", "config", ("+sweep",), "job"),
    "table": Verb("selfguide.apps.table.command", "methods x tasks x seeds", "table", ("+table",)),
    "compare": Verb("selfguide.apps.compare", "runs side by side"),
    "view": Verb("selfguide.apps.view", "browse the runs in a folder: list, sort, compare, open"),
    "report": Verb("selfguide.apps.report", "write the report of a run again"),
    "chat": Verb("selfguide.apps.chat", "try the base and the finetuned model side by side", "chat", ("run",)),
    "export": Verb(
        "selfguide.apps.export.command", "export data set and weights as folders to share", "export", ("run", "to")
    ),
    "serve": Verb(
        "selfguide.apps.serve",
        "serve base and finetuned model over an OpenAI-compatible API",
        "serve",
        ("run",),
    ),
    "convert": Verb("selfguide.apps.convert", "convert a model with pickled weights to safetensors"),
    "init": Verb("selfguide.apps.init", "write a commented task and a config folder to start from"),
    "store": Verb("selfguide.store.__main__", "inspect finished stages: list, compare, check, delete"),
    "quality": Verb("selfguide.apps.quality", "measure how far extrapolated rows differ from the errors behind them"),
    "bench": Verb("benchmarks.speed.__main__", "measure speed (needs a checkout of the project)"),
    "completion": Verb("selfguide.apps.completion", "shell completion for bash, zsh and fish"),
}
