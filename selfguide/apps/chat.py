"""`selfguide chat run=runs/…`: type an input, see the base's and the finetuned model's answer side by side.

Reads a pipe as well: one input a line, answers as plain lines.
"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from omegaconf import DictConfig

from selfguide.config.command import command

if TYPE_CHECKING:
    from selfguide.analysis.folder import RunFolder
    from selfguide.models.base import Engine, Weights
    from selfguide.prompts.tokenization import PromptTokenizer

QUIT = ("exit", "quit", ":q")


@command("chat")
def main(config: DictConfig) -> None:
    """Answer until the input ends."""
    from selfguide.analysis.folder import RunFolder
    from selfguide.apps.run_folder import config_to_load, finetuned_folder
    from selfguide.config.commands import ChatConfig, typed_command
    from selfguide.models.build import build_engine
    from selfguide.models.loading import load_prompt_tokenizer
    from selfguide.training.weights import weights_of

    options = typed_command(config, ChatConfig)
    run = RunFolder.open(options.run)
    weights = weights_of(finetuned_folder(run), run.config.finetuning)
    loaded = config_to_load(run, options)
    chat = Chat(run, load_prompt_tokenizer(loaded.model), weights, options.max_new_tokens)
    with build_engine(loaded) as engine:
        try:
            chat.talk(engine, sys.stdin, sys.stdout)
        except KeyboardInterrupt:
            print()


class Chat:
    """One run's task, asked of both models in one call; greedy, as in the evaluation."""

    def __init__(
        self, run: "RunFolder", tokenizer: "PromptTokenizer", weights: "Weights", max_new_tokens: int | None = None
    ) -> None:
        from selfguide.apps.model import Asked

        self._run, self._weights = run, weights
        self._asked = Asked(run, tokenizer, max_new_tokens)

    def answers(self, engine: "Engine", text: str) -> tuple[str, str]:
        """(base, tuned). Raises `PromptTooLongError` if the input leaves no room for an answer."""
        base, tuned = engine.generate([self._asked.request(engine, text, w) for w in (None, self._weights)])
        return base[0].text, tuned[0].text

    def talk(self, engine: "Engine", source: TextIO, target: TextIO) -> None:
        """Read inputs to the end of `source`, write both answers to each."""
        from selfguide.core.errors import PromptTooLongError

        terminal = source.isatty() and target.isatty()
        if terminal:
            self._introduce(target)
        for text in inputs(source, target if terminal else None):
            try:
                base, tuned = self.answers(engine, text)
            except PromptTooLongError as error:
                print(f"too long: {error}", file=target)
                continue
            if terminal:
                side_by_side(base, tuned, target)
            else:
                print(f"base: {_one_line(base)}\ntuned: {_one_line(tuned)}", file=target, flush=True)

    def _introduce(self, target: TextIO) -> None:
        task = self._run.task
        print(f"{task.name}: {task.instruction}\n", file=target)
        for shown in task.demonstrations[:1]:
            print(f"An input as in: {shown.input}", file=target)
        print("End a line with \\ to continue it on the next. Ctrl-D ends the chat.\n", file=target)


def inputs(source: TextIO, prompt_on: TextIO | None) -> Iterator[str]:
    """The inputs in `source`: lines, joined where one ends with a backslash; empty ones are skipped."""
    parts: list[str] = []
    while True:
        if prompt_on is not None:
            print("...  " if parts else "input> ", end="", file=prompt_on, flush=True)
        line = source.readline()
        ended, text = not line, line.rstrip("\n")
        if not ended and text.endswith("\\"):
            parts.append(text[:-1])
            continue
        whole = "\n".join([*parts, text]).strip()
        parts = []
        if prompt_on is not None and whole in QUIT:
            return
        if whole:
            yield whole
        if ended:
            return


def side_by_side(base: str, tuned: str, target: TextIO) -> None:
    """Both answers as two columns; their text is never read as markup or as control characters."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from selfguide.core.escaping import terminal

    table = Table("base", "tuned", expand=True)
    table.add_row(Text(terminal(base) or "(empty)"), Text(terminal(tuned) or "(empty)"))
    Console(file=target, highlight=False).print(table)


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
