"""From prompts to token ids, and back. The only place that knows a tokenizer.

Training rows are `prompt ids ++ answer ids`, never the re-tokenised join, so what is served is
what was trained.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from selfguide.core.errors import ConfigError
from selfguide.core.paths import RESOURCES
from selfguide.prompts.selfguide import Prompt, Turn, plain_completion

PromptFormat = Literal["plain", "chat"]
CHAT_TEMPLATES = RESOURCES / "chat_templates"
TEMPLATE_DATE = date(2024, 7, 26)
"""Today, for templates that write the date: tomorrow's prompts must be those trained on. Llama 3's own default."""


class PromptTokenizer:
    """A Hugging Face tokenizer bound to a prompt format.

    `plain` renders the textual layout; `chat` renders turns through the tokenizer's own template
    (or `chat_template`: the name of a bundled template, or a path to a Jinja file), which takes `options`.
    `stop_ids` are the tokens that end an answer: its generation config's, the end-of-sequence token, and
    the one that the template puts behind an answer.
    """

    def __init__(
        self,
        tokenizer: Any,
        prompt_format: PromptFormat,
        chat_template: str | None = None,
        options: Mapping[str, Any] | None = None,
        stop_ids: Iterable[int] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.prompt_format = prompt_format
        if chat_template is not None:
            tokenizer.chat_template = template_file(chat_template).read_text(encoding="utf-8")
        if prompt_format == "chat" and not tokenizer.chat_template:
            raise ConfigError(
                "model.prompt_format: chat, but the tokenizer has no chat template; "
                "set model.chat_template to a Jinja file, or model.prompt_format=plain"
            )
        if tokenizer.eos_token_id is None:
            raise ConfigError(f"model.path: the tokenizer of {tokenizer.name_or_path} has no end-of-sequence token")
        self._options = {"strftime_now": TEMPLATE_DATE.strftime, **(options or {})}
        known = frozenset(stop_ids) | {tokenizer.eos_token_id}
        self.end_id: int = self._end_of_answer(known) if prompt_format == "chat" else tokenizer.eos_token_id
        self.stop_ids = known | {self.end_id}

    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids of a prompt, up to where the completion starts."""
        if self.prompt_format == "plain":
            return tuple(self.tokenizer(prompt.plain()).input_ids)
        # The template writes the special tokens itself.
        ids = self.tokenizer(self.render(prompt.turns()), add_special_tokens=False).input_ids
        return self._with_one_bos(ids)

    def render(self, turns: Sequence[Turn]) -> str:
        """Chat turns as the template writes them, up to where the answer starts.

        Where the template knows no system turn, its text opens the first user turn.
        """
        from jinja2 import TemplateError

        try:
            return self._applied(turns, add_generation_prompt=True)
        except TemplateError as error:
            if len(turns) > 1 and turns[0].role == "system":
                return self.render([Turn(turns[1].role, f"{turns[0].text}\n\n{turns[1].text}"), *turns[2:]])
            raise ConfigError(f"model.chat_template: the template refuses the prompt: {error}") from error

    def encode_answer(self, answer: str) -> tuple[int, ...]:
        """Token ids of a finished answer, with the token that ends it."""
        return (*self.encode_text(answer), self.end_id)

    def encode_text(self, answer: str) -> tuple[int, ...]:
        """Token ids of an answer as it follows a prompt, without the end-of-sequence token."""
        text = plain_completion(answer) if self._keeps_leading_space and self.prompt_format == "plain" else answer
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def decode(self, token_ids: tuple[int, ...] | list[int]) -> str:
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def stop(self, prompt: Prompt) -> tuple[str, ...]:
        """Stop strings: plain text has them, chat ends by its own token."""
        return prompt.stop if self.prompt_format == "plain" else ()

    @cached_property
    def _keeps_leading_space(self) -> bool:
        # SentencePiece tokenizers put a space before a text of their own accord: "a" and " a"
        # would then start with one and with two spaces.
        ids = self.tokenizer("a", add_special_tokens=False).input_ids
        return bool(self.tokenizer.convert_ids_to_tokens(ids)[0] == "a")

    def _applied(self, turns: Sequence[Turn], add_generation_prompt: bool) -> str:
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        text: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt, **self._options
        )
        return text

    def _with_one_bos(self, ids: list[int]) -> tuple[int, ...]:
        """A prompt begins with one BOS if the tokenizer begins texts with it, whatever the template writes."""
        bos = self.tokenizer.bos_token_id
        if bos is None:
            return tuple(ids)
        written = next((i for i, token in enumerate(ids) if token != bos), len(ids))
        return (*[bos] * (written > 0 or self.tokenizer("").input_ids[:1] == [bos]), *ids[written:])

    def _end_of_answer(self, known: frozenset[int]) -> int:
        """The special token that the template puts behind an answer; else the end-of-sequence token."""
        from jinja2 import TemplateError

        answer = "Answer"
        try:
            text = self._applied((Turn("user", "Question"), Turn("assistant", answer)), add_generation_prompt=False)
        except TemplateError:
            return int(self.tokenizer.eos_token_id)
        special = {i for i, token in self.tokenizer.added_tokens_decoder.items() if token.special} | known
        behind = self.tokenizer(text.rpartition(answer)[2], add_special_tokens=False).input_ids
        return next((int(token) for token in behind if token in special), int(self.tokenizer.eos_token_id))


def template_file(name: str) -> Path:
    """The file of a chat template: a bundled one's name, or a path. Raises `ConfigError`."""
    path = CHAT_TEMPLATES / f"{name}.jinja"
    path = path if path.exists() else Path(name)
    if not path.is_file():
        bundled = ", ".join(sorted(p.stem for p in CHAT_TEMPLATES.glob("*.jinja")))
        raise ConfigError(f"model.chat_template: {name!r} is neither a file nor a bundled template ({bundled})")
    return path
