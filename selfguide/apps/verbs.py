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
    "run": Verb("selfguide.main", "make data for a task, finetune on it, measure", "config", ("task",), "job"),
    "lint": Verb("selfguide.apps.lint.command", "what would spoil the result of a task", "lint", ("task",)),
    "plan": Verb(
        "selfguide.apps.plan.command",
        "forecast a run from a small round, or a table from its settings",
        "plan",
        ("task",),
    ),
    "sweep": Verb("selfguide.main", "search one setting that serves several tasks", "config", ("+sweep",), "job"),
    "table": Verb("selfguide.apps.table.command", "methods x tasks x seeds", "table", ("+table",)),
    "compare": Verb("selfguide.apps.compare", "runs side by side"),
    "view": Verb("selfguide.apps.view", "the runs of a folder in a browser: list, sort, compare, open"),
    "report": Verb("selfguide.apps.report", "the page of a run again"),
    "chat": Verb("selfguide.apps.chat", "ask base and finetuned model what you type", "chat", ("run",)),
    "export": Verb(
        "selfguide.apps.export.command", "data set and weights as folders to hand on", "export", ("run", "to")
    ),
    "serve": Verb(
        "selfguide.apps.serve", "base and finetuned model behind an OpenAI-compatible API", "serve", ("run",)
    ),
    "convert": Verb("selfguide.apps.convert", "a model with pickled weights, as safetensors"),
    "init": Verb("selfguide.apps.init", "a commented task and a config folder to start from"),
    "store": Verb("selfguide.store.__main__", "what is kept, why two stages differ, what is damaged"),
    "quality": Verb("selfguide.apps.quality", "how an error and what was extrapolated from it differ"),
    "bench": Verb("benchmarks.speed.__main__", "speed, in a checkout of the project"),
    "completion": Verb("selfguide.apps.completion", "completion for bash, zsh or fish"),
}
