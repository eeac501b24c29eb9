"""engine=hf on every architecture: in a batch with a shared beginning, prompts longer than any window, as alone."""

import random
from pathlib import Path

import pytest
import torch
import transformers

from selfguide.models.base import Request, Sampling, ScoreRequest
from selfguide.models.hf import HFEngine
from tests.architectures.families import CONTEXT, FAMILIES, SLIDING, WINDOW, tiny_family
from tests.models.checkpoints import engine_config, model_config

OWN = (3, 20, 41)
"""Tokens that each prompt of the batch adds to the shared ones."""


@pytest.mark.parametrize("repeated", [False, True], ids=["as-chosen", "repeated"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_batch_is_answered_as_each_prompt_alone(
    name: str, repeated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if repeated:  # as on a GPU
        monkeypatch.setattr("selfguide.models.kv_cache.holds_prefix_once", lambda *_: False)
    assert_batch_as_alone(tiny_family(name, tmp_path))


@pytest.mark.parametrize("name", SLIDING)
def test_prompts_within_a_window(name: str, tmp_path: Path) -> None:
    assert_batch_as_alone(tiny_family(name, tmp_path, sliding_window=CONTEXT))


def assert_batch_as_alone(checkpoint: Path) -> None:
    engine = HFEngine(model_config(checkpoint, context_length=CONTEXT), engine_config())
    draw = random.Random(0)

    def text(size: int) -> tuple[int, ...]:
        return tuple(draw.randrange(10, 250) for _ in range(size))

    prefix = text(WINDOW + 36)
    prompts = [prefix + text(size) for size in OWN]
    answers = [text(5) for _ in OWN]
    scored = engine.score([ScoreRequest(*pair) for pair in zip(prompts, answers, strict=True)])
    made = engine.generate([Request(prompt, Sampling(24)) for prompt in prompts])
    with engine.model() as model, torch.inference_mode():

        def logprobs(ids: tuple[int, ...]) -> torch.Tensor:
            """Of a pass of its own, without cache and padding."""
            logits: torch.Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits
            return logits[0].float().log_softmax(-1)

        for prompt, answer, ours in zip(prompts, answers, scored, strict=True):
            alone = logprobs((*prompt, *answer))[len(prompt) - 1 : -1].gather(-1, torch.tensor(answer)[:, None])[:, 0]
            assert ours == pytest.approx(alone.tolist(), abs=2e-3)
        for prompt, [completion] in zip(prompts, made, strict=True):
            after = logprobs((*prompt, *completion.token_ids))[len(prompt) - 1 : -1]
            taken = after.gather(-1, torch.tensor(completion.token_ids)[:, None])[:, 0]
            assert (after.max(-1).values - taken).max() < 1e-3, "greedy takes the likeliest token"
            assert completion.logprob == pytest.approx(float(taken.sum()), abs=1e-2)


def test_the_families_with_windows_are_known() -> None:
    for name, (kind, shape) in FAMILIES.items():
        config = getattr(transformers, kind)(**shape)
        assert any(transformers.DynamicCache(config=config).is_sliding) == (name in SLIDING), name
