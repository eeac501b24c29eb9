"""`selfguide VERB …`: every command of the project; Hydra's overrides come after the verb.

`python -m selfguide.main …` is the same. Without a verb it is `run`.
"""

import difflib
import re
import sys
from importlib import import_module

from selfguide import __version__
from selfguide.apps.verbs import VERBS
from selfguide.config.overrides import in_order


def start_program(program: str, arguments: list[str]) -> None:
    """`start`, with the list of commands where no command is given."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return
    start(program, arguments)


def start(program: str, arguments: list[str]) -> None:
    """Run a command line; `program` is how its parts say what to type."""
    if "--version" in arguments[:2]:
        print(f"selfguide {__version__}")
        return
    verb = arguments[0] if arguments and re.fullmatch(r"[a-z]+", arguments[0]) else None
    if verb is not None and verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(VERBS)}"
        print(f"error: {verb}: there is no such command; {hint}", file=sys.stderr)
        sys.exit(2)
    name, rest = (verb, arguments[1:]) if verb else ("run", arguments)
    chosen = VERBS[name]
    if chosen.config is not None:
        rest = in_order(rest, chosen.named)
        rest = [*(["--multirun"] if name == "sweep" and not {"--help", "--cfg", "-c"} & set(rest) else []), *rest]
    sys.argv = [f"{program} {verb}" if verb else program, *rest]
    try:
        module = import_module(chosen.module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "benchmarks":
            raise
        print(f"error: {name}: works only in a checkout of the project", file=sys.stderr)
        sys.exit(2)
    getattr(module, chosen.function)()


def overview() -> str:
    """What `selfguide --help` prints."""
    lines = [f"  {name:<11} {verb.about}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "selfguide: a language model teaches itself a task (SELF-GUIDE, arXiv 2407.12874).",
            "",
            "  selfguide run                                run the bundled model on a bundled task",
            "  selfguide run reviews.json                   a task of your own: selfguide init reviews",
            "  selfguide run task1516 model=vicuna_7b_v1_5 engine=vllm finetuning=lora",
            "",
            "Commands:",
            *lines,
            "",
            "selfguide COMMAND --help says more; selfguide --version; completion: selfguide completion --help.",
        ]
    )
