"""The ceiling of any method that labels its own inputs: the model finetuned on inputs it wrote, with true outputs."""

import random
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.micro.icl import Trial
from benchmarks.micro.reader import Reader, asked
from selfguide.core.seeding import child_random
from selfguide.core.types import Example
from selfguide.prompts.selfguide import InputPrompt

PAIRS = 100
FEWEST = 20
EPOCHS, BATCH, RATE, RANK = 4, 8, 3e-3, 16


def oracle_ceiling(reader: Reader, trial: Trial, seed: int = 0) -> float | None:
    """Exact match in percent; None where the model wrote fewer than 20 different inputs of the task."""
    pairs = oracle_pairs(reader, trial, seed)
    if len(pairs) < FEWEST:
        return None
    with reader.engine.model() as model:
        adapted = finetuned(model, reader, trial, pairs, seed)
        try:
            return trial.percent(trial.greedy(reader, trial.task.instruction, trial.demonstrations))
        finally:
            adapted.unload()


def oracle_pairs(reader: Reader, trial: Trial, seed: int) -> list[Example]:
    """Different inputs that the model wrote and that are inputs of the task, none an instance, with the true output."""
    task = trial.task
    labels = task.rule.labels or (None,)
    prompts = [
        InputPrompt(task.instruction, trial.demonstrations, (), labels[i % len(labels)], bool(task.rule.labels))
        for i in range(2 * PAIRS)
    ]
    barred = {e.input for e in (*trial.demonstrations, *trial.instances)}
    written = dict.fromkeys(text for text in reader.inputs(prompts, seed, temperature=1.0) if text not in barred)
    found = [Example(text, output) for text in written if (output := task.truth(text)) is not None]
    return found[:PAIRS]


def finetuned(model: Any, reader: Reader, trial: Trial, pairs: Sequence[Example], seed: int) -> Any:
    """The model with an adapter trained on the pairs, each behind the few-shot prompt in an order of its own."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    rng = child_random(seed, "ceiling", trial.task.name)
    adapted = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"))
    adapted.train()
    optimiser = torch.optim.AdamW((p for p in adapted.parameters() if p.requires_grad), lr=RATE, weight_decay=0.0)
    steps = EPOCHS * -(-len(pairs) // BATCH)

    def rate(step: int) -> float:  # up over a tenth of the steps, then down to 0
        return min(1.0, 10 * (step + 1) / steps, 1 - step / steps)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    for _ in range(EPOCHS):
        for batch in _batches(rng, pairs):
            ids, wanted = _rows(reader, trial, batch, rng)
            loss = adapted(input_ids=ids, labels=wanted).loss
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(adapted.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    return adapted.eval()


def _batches(rng: random.Random, pairs: Sequence[Example]) -> list[list[Example]]:
    order = list(pairs)
    rng.shuffle(order)
    return [order[at : at + BATCH] for at in range(0, len(order), BATCH)]


def _rows(
    reader: Reader, trial: Trial, batch: Sequence[Example], rng: random.Random
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, padded on the right; only the answer counts."""
    tokenizer = reader.engine.tokenizer
    rows = []
    for pair in batch:
        order = rng.sample(trial.demonstrations, len(trial.demonstrations))
        (shown,) = asked(trial.task.instruction, order, [pair])
        rows.append((tokenizer.encode_prompt(shown), tokenizer.encode_answer(pair.output)))
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids, wanted = torch.zeros(len(rows), width, dtype=torch.long), torch.full((len(rows), width), -100)
    for i, (prompt, answer) in enumerate(rows):
        ids[i, : len(prompt) + len(answer)] = torch.tensor([*prompt, *answer])
        wanted[i, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    return ids, wanted
