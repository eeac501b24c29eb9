"""Step 6: greedy answers of base and finetuned weights to the same prompts. Paper section 3.5.

The only code that turns gold instances into requests; what it sends is the input, never a reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from selfguide.config.schema import EvaluationConfig
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.models.base import Request, Sampling, Weights, room
from selfguide.models.session import LanguageModel
from selfguide.prompts.selfguide import answer_prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal, fingerprint


class Predictor(Protocol):
    """Answers inputs in another way than by the evaluation's prompt: a classifier, or prompts made for each input.

    `identity` names all that its answers depend on beside model, task and inputs.
    """

    identity: str

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """One answer per input, in order. `journal` keeps what a killed run need not do again."""
        ...


@dataclass(frozen=True, slots=True)
class System:
    """What is evaluated. By default the base model with the task's demonstrations: few-shot ICL."""

    weights: Weights | None = None
    demonstrations: tuple[Example, ...] | None = None
    predictor: Predictor | None = None

    @property
    def stage_identity(self) -> str:
        """What its answers depend on beside model, task and inputs."""
        if self.predictor is not None:
            return self.predictor.identity
        name = "base" if self.weights is None else self.weights.name
        if self.demonstrations is None:
            return name
        return f"{name}+{fingerprint([(d.input, d.output) for d in self.demonstrations])}"


BASE = System()


class Query(NamedTuple):
    """One input for one system that is prompted."""

    instance: Instance
    system: System


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer to one instance. `too_long`: the prompt left no room, so there is no answer."""

    id: str
    text: str
    too_long: bool = False


def predict(
    model: LanguageModel,
    task: TaskSpec,
    config: EvaluationConfig,
    queries: Sequence[Query],
    journal: Journal,
    progress: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """A prediction for each query; all go through the engine as one stream of requests, `config.batch` at a time.

    `progress` is told what is answered now, not what the journal holds.
    """
    engine, tokenizer = model.engine, model.tokenizer
    stop = tokenizer.stop(answer_prompt(task, ""))
    choices = task.labels if config.decoding == "constrained" else ()
    # Systems differ in their weights more often than in their prompts.
    prompts: dict[tuple[str, tuple[Example, ...] | None], tuple[int, ...]] = {}
    for instance, system in queries:
        key = (instance.input, system.demonstrations)
        if key not in prompts:
            prompts[key] = prompt_ids(tokenizer, task, *key)
    rows: list[dict[str, Any]] = [row for batch in journal.rows for row in batch["rows"]]
    for start in range(len(rows), len(queries), config.batch):
        before = engine.tokens.copy()
        batch = queries[start : start + config.batch]
        ids = [prompts[instance.input, system.demonstrations] for instance, system in batch]
        rooms = [room(engine.context_length, len(prompt), config.max_new_tokens) for prompt in ids]
        requests = [
            Request(prompt, Sampling(max_new_tokens=tokens, stop=stop, choices=choices), weights=query.system.weights)
            for query, prompt, tokens in zip(batch, ids, rooms, strict=True)
            if tokens > 0
        ]
        answers = iter(engine.generate(requests))
        new = [
            {"id": query.instance.id, "text": next(answers)[0].text if tokens > 0 else "", "too_long": tokens <= 0}
            for query, tokens in zip(batch, rooms, strict=True)
        ]
        journal.append({"rows": new, "tokens": (engine.tokens - before).counts()})
        rows.extend(new)
        if progress is not None:
            progress(len(new))
    return [Prediction(**row) for row in rows]


def prompt_ids(
    tokenizer: PromptTokenizer, task: TaskSpec, text: str, demonstrations: tuple[Example, ...] | None = None
) -> tuple[int, ...]:
    """The prompt that an engine is sent for an input, as token ids; None: the task's demonstrations."""
    return tokenizer.encode_prompt(answer_prompt(task, text, demonstrations))
