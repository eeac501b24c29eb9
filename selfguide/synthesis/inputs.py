"""Steps 1 and 2 of SELF-GUIDE: the prompts for new inputs, and their schedule in rounds (paper section 3.1).

Every prompt has its own random stream, named by round and index, and a round sees the pool as it stood before it:
the result depends on nothing else, and a killed run goes on after the last round that reached the disk.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from selfguide.config.schema import FiltersConfig, GenerationConfig
from selfguide.core.errors import PromptTooLongError
from selfguide.core.seeding import SeedStream
from selfguide.core.types import TaskSpec
from selfguide.models.base import Sampling
from selfguide.models.session import LanguageModel
from selfguide.prompts.selfguide import InputPrompt
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.generator import Generator
from selfguide.synthesis.judge import Repetitions, input_judge
from selfguide.synthesis.lengths import token_limit
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.streaming import propose_streaming


def given_inputs(task: TaskSpec, filters: FiltersConfig) -> list[Candidate]:
    """The user's inputs as they are; repetitions, of demonstrations too, are dropped if `filters.duplicates`."""
    repetitions, candidates = Repetitions(shown.input for shown in task.demonstrations), list[Candidate]()
    for index, text in enumerate(task.inputs):
        reason = repetitions.copy_reason(text, None) if filters.duplicates else None
        repetitions.remember(text)
        candidates.append(Candidate(f"given-{index}", 0, text, dropped=reason, source="given"))
    return candidates


OnBatch = Callable[[int, int], None]
"""Called after a round with the inputs proposed and accepted so far."""


@dataclass(frozen=True)
class InputProposer:
    """Proposes inputs for a task: its demonstrations, drafts from the pool of what was accepted, a random label."""

    model: LanguageModel
    task: TaskSpec
    config: GenerationConfig
    filters: FiltersConfig
    temperature: float
    seed: int

    def propose(self, journal: Journal, on_batch: OnBatch | None = None) -> list[Candidate]:
        """All proposals, accepted and dropped, in the order they were judged.

        Raises `PromptTooLongError` if instruction and demonstrations alone exceed the cutoff.
        """
        config, seeds = self.config, SeedStream(self.seed, ("inputs", "sample"))
        sampling = Sampling(self._longest, self.temperature, config.top_k, config.top_p)
        generator = Generator(self.model, sampling, seeds, input_judge(self.task, self.filters), journal)
        if on_batch is not None:
            generator.progress = lambda _: on_batch(len(generator.candidates), len(generator.accepted))
        if config.schedule == "streaming":
            return propose_streaming(generator, config, self.draw)
        for number in range(config.rounds):
            if config.target is not None and len(generator.accepted) >= config.target:
                break
            pool = tuple(generator.accepted)
            generator.propose(self.draw(pool, number, index) for index in range(config.prompts_per_round))
        return generator.candidates

    @property
    def _longest(self) -> int:
        return token_limit(self.config.max_new_tokens, (shown.input for shown in self.task.demonstrations))

    def draw(self, pool: Sequence[str], number: int, index: int) -> ProposalRequest:
        """The request with this index of round `number`: shuffled demonstrations, random drafts, a random label."""
        task, config = self.task, self.config
        stream = SeedStream(self.seed).random_of("inputs", "prompt", number, index)
        demonstrations = list(task.demonstrations)
        stream.shuffle(demonstrations)
        conditioned = task.is_classification and config.label_conditioning
        label = stream.choice(task.labels) if conditioned else None
        show_outputs = task.is_classification and config.show_outputs
        bare = InputPrompt(task.instruction, tuple(demonstrations), (), label, show_outputs)
        request = ProposalRequest(f"{number}-{index}", bare, number, label=label, stream=(number, index))
        context_length = self.model.engine.context_length
        limit = prompt_limit(config, context_length, self._longest)
        max_drafts = min(config.max_drafts, len(pool))
        for count in range(stream.randint(1, max_drafts) if max_drafts else 0, -1, -1):
            prompt = replace(bare, drafts=tuple(stream.sample(pool, count)))
            rendered = self.model.render(prompt)
            if rendered.size <= limit:
                return replace(request, prompt=prompt, rendered=rendered)
        raise too_long(task, config, rendered.size, context_length, limit)


def check_room(model: LanguageModel, task: TaskSpec, config: GenerationConfig) -> None:
    """Raise `PromptTooLongError` if the prompt for a new input has no room, drafts or not. Starts no engine."""
    label = max(task.labels, key=len, default=None) if config.label_conditioning else None
    show_outputs = task.is_classification and config.show_outputs
    bare = model.render(InputPrompt(task.instruction, task.demonstrations, (), label, show_outputs))
    longest = token_limit(config.max_new_tokens, (shown.input for shown in task.demonstrations))
    limit = prompt_limit(config, model.context_length, longest)
    if bare.size > limit:
        raise too_long(task, config, bare.size, model.context_length, limit)


def prompt_limit(config: GenerationConfig, context_length: int, longest: int) -> int:
    """Tokens that a prompt may take: a quarter of a short context stays free for the new input."""
    return min(config.context_cutoff, context_length - min(longest, context_length // 4))


def too_long(
    task: TaskSpec, config: GenerationConfig, tokens: int, context_length: int, limit: int
) -> PromptTooLongError:
    """What to say of a prompt of so many tokens."""
    return PromptTooLongError(
        f"task {task.name}: instruction and demonstrations alone take {tokens} tokens, but the prompt for a new "
        f"input may take {limit} (generation.context_cutoff={config.context_cutoff}, model context {context_length}, "
        "which has to hold the new input, too); use fewer demonstrations (task.num_demonstrations=…) or a model with "
        "a longer context"
    )
