"""Step 6: greedy answers of base and finetuned weights to the same prompts. Paper section 3.5.

The only code that turns gold instances into requests; what it sends is the input, never a reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selfguide.config.schema import EvaluationConfig
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.contender import Contender
from selfguide.models.base import Engine, Request, Sampling, room
from selfguide.prompts.selfguide import answer_prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer to one instance. `too_long`: the prompt left no room, so there is no answer."""

    id: str
    text: str
    too_long: bool = False


def predict(
    engine: Engine,
    tokenizer: PromptTokenizer,
    task: TaskSpec,
    instances: Sequence[Instance],
    variants: Sequence[Contender],
    config: EvaluationConfig,
    journal: Journal,
    progress: Callable[[int], None] | None = None,
) -> list[list[Prediction]]:
    """Predictions [variant][instance]; all variants go through the engine as one stream of requests.

    `progress` is told what is answered now, not what the journal holds.
    """
    encoded = served_prompts(tokenizer, task, instances, variants)
    rooms = [[room(engine.context_length, len(ids), config.max_new_tokens) for ids in rows] for rows in encoded]
    stop = tokenizer.stop(answer_prompt(task, ""))
    choices = task.labels if config.decoding == "constrained" else ()
    work = [(variant, place) for variant in range(len(variants)) for place in range(len(instances))]
    done: list[dict[str, Any]] = [row for batch in journal.rows for row in batch["rows"]]
    for start in range(len(done), len(work), config.batch):
        before = engine.tokens.copy()
        batch = work[start : start + config.batch]
        fits = [rooms[variant][place] > 0 for variant, place in batch]
        answers = iter(
            engine.generate(
                [
                    Request(
                        encoded[variant][place],
                        Sampling(max_new_tokens=rooms[variant][place], stop=stop, choices=choices),
                        weights=variants[variant].weights,
                    )
                    for (variant, place), fit in zip(batch, fits, strict=True)
                    if fit
                ]
            )
        )
        rows = [
            {
                "variant": variant,
                "id": instances[place].id,
                "text": next(answers)[0].text if fit else "",
                "too_long": not fit,
            }
            for (variant, place), fit in zip(batch, fits, strict=True)
        ]
        journal.append({"rows": rows, "tokens": (engine.tokens - before).counts()})
        done.extend(rows)
        if progress is not None:
            progress(len(rows))
    size = len(instances)
    return [
        [Prediction(row["id"], row["text"], row["too_long"]) for row in done[variant * size : (variant + 1) * size]]
        for variant in range(len(variants))
    ]


def served_prompts(
    tokenizer: PromptTokenizer, task: TaskSpec, instances: Sequence[Instance], variants: Sequence[Contender]
) -> list[list[tuple[int, ...]]]:
    """Prompt ids [variant][instance]: what an engine is sent. Variants with the same demonstrations share theirs."""
    known: dict[tuple[Example, ...] | None, list[tuple[int, ...]]] = {}
    for shots in dict.fromkeys(variant.demonstrations for variant in variants):
        known[shots] = [tokenizer.encode_prompt(answer_prompt(task, i.input, shots)) for i in instances]
    return [known[variant.demonstrations] for variant in variants]
