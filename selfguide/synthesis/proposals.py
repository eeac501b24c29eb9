"""A request for a new input, and what its reply proposes. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from selfguide.models.base import Completion
from selfguide.prompts.neighbours import ConditionedPrompt, ExtrapolationPrompt, JointPrompt
from selfguide.prompts.rendered import Rendered
from selfguide.prompts.selfguide import InputPrompt
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.replies import read_pairs

ProposalPrompt = InputPrompt | ConditionedPrompt | ExtrapolationPrompt | JointPrompt


@dataclass(frozen=True, slots=True)
class ProposalRequest:
    """A wanted input: the prompt that asks for it, and what it is made from.

    `label` is the output it is asked for, `inherits` whether that becomes its output. `start` is its fixed first
    part, `shown` the inputs that it may not copy, `count` how many items a joint prompt is to give. `stream` names
    its random stream. `contrast_prompts` are those of the other labels, for self-debiasing. `rendered` is set
    once the prompt is fitted to the context; None: it does not fit.
    """

    id: str
    prompt: ProposalPrompt
    round: int = 0
    source: str | None = None
    label: str | None = None
    inherits: bool = False
    start: str | None = None
    open_quote: bool = False
    shown: tuple[str, ...] = ()
    parent: str | None = None
    exemplar: str | None = None
    count: int = 1
    contrast_prompts: tuple[ConditionedPrompt, ...] = ()
    stream: tuple[str | int, ...] = ()
    rendered: Rendered | None = None

    def candidates(self, completion: Completion | None) -> Iterator[Candidate]:
        """What a reply proposes, not judged yet; None: the prompt did not fit."""
        empty = Candidate(
            self.id, self.round, "", self.label, source=self.source, parent=self.parent, exemplar=self.exemplar
        )
        if completion is None:
            yield replace(empty, dropped="prompt_too_long")
        elif not isinstance(self.prompt, JointPrompt):
            # Half a text, unless the judge finds its end in it.
            dropped = "cut_off" if completion.finish == "length" else None
            yield replace(empty, input=completion.text, output=self.label if self.inherits else None, dropped=dropped)
        else:
            pairs = read_pairs(completion.text, completion.finish == "length")
            for number, (text, output, dropped) in enumerate(pairs):
                yield replace(empty, id=f"{self.id}-{number}", input=text, output=output, dropped=dropped)
            if not pairs:
                yield replace(empty, dropped="no_output")
