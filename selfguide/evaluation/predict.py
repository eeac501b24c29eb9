"""Step 6: greedy answers of base and finetuned weights to the same prompts. Paper section 3.5.

The only code that turns gold instances into requests; what it sends is the input, never a reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from selfguide.config.schema import EvaluationConfig
from selfguide.engines.base import Engine, Request, Sampling, Weights, room
from selfguide.prompts import answer_prompt
from selfguide.store.atomic import Journal
from selfguide.tokenization import PromptTokenizer
from selfguide.types import Instance, TaskSpec


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
    variants: Sequence[Weights | None],
    config: EvaluationConfig,
    journal: Journal,
    progress: Callable[[int], None] | None = None,
) -> list[list[Prediction]]:
    """Predictions [variant][instance]; all variants go through the engine as one stream of requests."""
    prompts = [answer_prompt(task, instance.input) for instance in instances]
    encoded = [tokenizer.encode_prompt(prompt) for prompt in prompts]
    rooms = [room(engine.context_length, len(ids), config.max_new_tokens) for ids in encoded]
    stop = tokenizer.stop(prompts[0]) if prompts else ()
    choices = task.labels if config.decoding == "constrained" else ()
    work = [(variant, place) for variant in range(len(variants)) for place in range(len(instances))]
    done: list[dict[str, Any]] = [row for batch in journal.rows for row in batch["rows"]]
    if progress is not None:
        progress(len(done))
    for start in range(len(done), len(work), config.batch):
        before = engine.tokens.copy()
        batch = work[start : start + config.batch]
        fits = [rooms[place] > 0 for _, place in batch]
        answers = iter(
            engine.generate(
                [
                    Request(
                        encoded[place],
                        Sampling(max_new_tokens=rooms[place], stop=stop, choices=choices),
                        weights=variants[variant],
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
        journal.append({"rows": rows, "tokens": (engine.tokens - before).pair()})
        done.extend(rows)
        if progress is not None:
            progress(len(rows))
    size = len(instances)
    return [
        [Prediction(row["id"], row["text"], row["too_long"]) for row in done[variant * size : (variant + 1) * size]]
        for variant in range(len(variants))
    ]
