"""A prompt as an engine is sent it."""

from dataclasses import dataclass

from selfguide.prompts.selfguide import Prompt, Turn

BYTES_OF_A_TOKEN = 3
PER_TURN = 4


@dataclass(frozen=True, slots=True)
class Rendered:
    """Token ids, or turns where the server alone has the template and the tokenizer."""

    ids: tuple[int, ...] = ()
    turns: tuple[Turn, ...] = ()

    @classmethod
    def in_turns(cls, prompt: Prompt) -> "Rendered":
        """For a chat server."""
        return cls(turns=prompt.turns())

    @property
    def size(self) -> int:
        """Tokens; of turns a guess, rather too high."""
        return len(self.ids) + sum(PER_TURN + -(-len(turn.text.encode()) // BYTES_OF_A_TOKEN) for turn in self.turns)
