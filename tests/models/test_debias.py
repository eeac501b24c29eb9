"""Self-debiasing against a computation by hand, alone and in a batch; and who refuses it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from selfguide.core.errors import ConfigError, PromptTooLongError
from selfguide.models.base import Debias, Request, Sampling
from selfguide.models.debias import debiased_logits
from selfguide.models.hf import HFEngine
from selfguide.models.limits import new_tokens
from selfguide.models.sampling import choose, uniforms
from tests.models.checkpoints import engine_config, model_config, tiny_model

TEXTS = ("a good film is one that", "a bad film is one", "a film that nobody saw")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HFEngine]:
    folder: Path = tiny_model(tmp_path_factory.mktemp("tiny"))
    with HFEngine(model_config(folder), engine_config()) as engine:
        yield engine


def ids(engine: HFEngine, text: str) -> tuple[int, ...]:
    return tuple(engine.tokenizer.tokenizer(text).input_ids)


def test_three_tokens_by_hand() -> None:
    own = torch.tensor([0.5, 0.3, 0.2]).log()
    counters = torch.tensor([[0.1, 0.6, 0.3], [0.2, 0.7, 0.1]]).log()
    probabilities = debiased_logits(own, counters, Debias(10.0, 0.01)).softmax(-1)
    # max(q - p, 0) = 0, 0.4, 0.1
    weights = [0.5, 0.3 * math.exp(-4), 0.2 * math.exp(-1)]
    assert probabilities.tolist() == pytest.approx([weight / sum(weights) for weight in weights])


def test_the_floor_bounds_what_is_taken_away() -> None:
    own, counters = torch.tensor([0.5, 0.5]).log(), torch.tensor([[0.1, 0.9]]).log()
    probabilities = debiased_logits(own, counters, Debias(200.0, 0.01)).softmax(-1)
    assert probabilities.tolist() == pytest.approx([0.5 / 0.505, 0.005 / 0.505])


def test_the_engine_samples_what_the_formula_gives(engine: HFEngine) -> None:
    """Step by step with the model itself: own and counter prompt read the same sampled token."""
    sampling = Sampling(5, 1.0, debias=Debias(50.0, 0.01))
    own, counters = ids(engine, TEXTS[0]), [ids(engine, text) for text in TEXTS[1:]]
    [[completion]] = engine.generate([Request(own, sampling, 3, counters=tuple(counters))])
    drawn = uniforms(3, 0, 5)
    made: tuple[int, ...] = ()
    total = 0.0
    with engine.model() as model, torch.inference_mode():
        for step in range(len(completion.token_ids)):
            logits = [model(torch.tensor([[*prompt, *made]])).logits[0, -1] for prompt in (own, *counters)]
            free = debiased_logits(logits[0], torch.stack(logits[1:]), Debias(50.0, 0.01))
            token, _ = choose(free[None], torch.tensor([drawn[step]]), sampling)
            total += float(logits[0].log_softmax(-1)[token[0]])
            made = (*made, int(token[0]))
    assert made == completion.token_ids
    assert completion.logprob == pytest.approx(total, abs=1e-3)


def test_a_batch_changes_nothing(engine: HFEngine) -> None:
    sampling = Sampling(6, 1.2, n=2, debias=Debias(100.0, 0.01))
    prompts = [ids(engine, text) for text in TEXTS]
    requests = [
        Request(prompt, sampling, place, counters=tuple(other for other in prompts if other != prompt))
        for place, prompt in enumerate(prompts)
    ]
    together = [[c.token_ids for c in made] for made in engine.generate(requests)]
    assert together == [[c.token_ids for c in engine.generate([request])[0]] for request in requests]
    free = [replace(request, sampling=replace(sampling, debias=None)) for request in requests]
    assert together != [[c.token_ids for c in made] for made in engine.generate(free)]


def test_without_counter_prompts_nothing_is_debiased(engine: HFEngine) -> None:
    request = Request(ids(engine, TEXTS[0]), Sampling(6, 1.0), seed=1)
    debiased = replace(request, sampling=Sampling(6, 1.0, debias=Debias(100.0, 0.01)))
    assert engine.generate([debiased])[0][0].token_ids == engine.generate([request])[0][0].token_ids


def test_a_counter_prompt_must_fit_the_context(engine: HFEngine) -> None:
    long = (ids(engine, TEXTS[0]) * 1000)[: engine.context_length]
    with pytest.raises(PromptTooLongError):
        engine.generate([Request(ids(engine, TEXTS[0]), Sampling(4, debias=Debias(1.0, 0.1)), counters=(long,))])


def test_engines_that_decode_elsewhere_refuse(engine: HFEngine) -> None:
    request = Request(ids(engine, TEXTS[0]), Sampling(4, 1.0, debias=Debias(1.0, 0.1)))
    with pytest.raises(ConfigError, match="engine=hf"):
        new_tokens(request, engine.tokenizer, 100)
