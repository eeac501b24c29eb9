"""From prompts to token ids, and back. The only place that knows a tokenizer.

Training rows are `prompt ids ++ answer ids`, never the re-tokenised join, so what is served is
what was trained.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from selfguide.core.errors import ConfigError
from selfguide.core.paths import RESOURCES
from selfguide.prompts.selfguide import Prompt, plain_completion

PromptFormat = Literal["plain", "chat"]
CHAT_TEMPLATES = RESOURCES / "chat_templates"


class PromptTokenizer:
    """A Hugging Face tokenizer bound to a prompt format.

    `plain` renders the textual layout; `chat` renders turns through the tokenizer's own template
    (or `chat_template`: the name of a bundled template, or a path to a Jinja file).
    """

    def __init__(self, tokenizer: Any, prompt_format: PromptFormat, chat_template: str | None = None) -> None:
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
        self.eos_token_id: int = tokenizer.eos_token_id

    def encode_prompt(self, prompt: Prompt) -> tuple[int, ...]:
        """Token ids of a prompt, up to where the completion starts."""
        if self.prompt_format == "plain":
            return tuple(self.tokenizer(prompt.plain()).input_ids)
        turns = [{"role": turn.role, "content": turn.text} for turn in prompt.turns()]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        # The template writes the special tokens itself.
        return tuple(self.tokenizer(text, add_special_tokens=False).input_ids)

    def encode_answer(self, answer: str) -> tuple[int, ...]:
        """Token ids of a finished answer, end-of-sequence token included."""
        return (*self.encode_text(answer), self.eos_token_id)

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

    def fingerprint(self) -> str:
        """Hash of all that decides token ids: vocabulary, merges, template and format."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        state = backend.to_str() if backend is not None else json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        parts = [state, self.prompt_format, str(self.tokenizer.chat_template if self.prompt_format == "chat" else "")]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def template_file(name: str) -> Path:
    """The file of a chat template: a bundled one's name, or a path. Raises `ConfigError`."""
    path = CHAT_TEMPLATES / f"{name}.jinja"
    path = path if path.exists() else Path(name)
    if not path.is_file():
        bundled = ", ".join(sorted(p.stem for p in CHAT_TEMPLATES.glob("*.jinja")))
        raise ConfigError(f"model.chat_template: {name!r} is neither a file nor a bundled template ({bundled})")
    return path
