"""The base model with a run's finetuned weights, asked as it was trained: greedily, demonstrations in context."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

from selfguide.analysis.folder import RunFolder
from selfguide.apps.run_folder import config_to_load, finetuned_folder
from selfguide.config.commands import TrustConfig
from selfguide.config.composing import composed, own_hydra
from selfguide.config.schema import RunConfig
from selfguide.config.validate import typed
from selfguide.core.errors import PromptTooLongError
from selfguide.models.base import Engine, Request, Sampling, Weights, room
from selfguide.models.hf import HFEngine
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.prompts.selfguide import Prompt, answer_prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.training.weights import weights_of


class Asked:
    """How a run's task is put to its models: prompt, stop strings and length as in the evaluation."""

    def __init__(self, run: RunFolder, tokenizer: PromptTokenizer, max_new_tokens: int | None = None) -> None:
        self._run, self._tokenizer = run, tokenizer
        self._max_new_tokens = max_new_tokens or run.config.evaluation.max_new_tokens

    def request(self, engine: Engine, text: str, weights: Weights | None) -> Request:
        """A greedy request. Raises `PromptTooLongError` if the input leaves no room for an answer."""
        prompt = answer_prompt(self._run.task, text)
        ids = self._tokenizer.encode_prompt(prompt)
        space = room(engine.context_length, len(ids), self._max_new_tokens)
        if space <= 0:
            raise PromptTooLongError(
                f"with this input the prompt has {len(ids)} tokens; the model takes {engine.context_length}"
            )
        return Request(ids, Sampling(space, stop=self._tokenizer.stop(prompt)), weights=weights)


class TunedModel:
    """Answers inputs of the run's task, by transformers in this process; the weights load on first use.

    Raises `DataError` for a run that trained nothing, or an encoder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        config = _in_this_process(config_to_load(run, TrustConfig(trust_remote_code=False)))
        self._weights = weights_of(finetuned_folder(run), config.finetuning)
        self.tokenizer = load_prompt_tokenizer(config.model)
        self._asked = Asked(run, self.tokenizer)
        self._config = config

    @cached_property
    def _engine(self) -> HFEngine:
        return HFEngine.from_config(self._config)

    def prompt(self, text: str) -> Prompt:
        """What the model is shown for an input: instruction, demonstrations, input."""
        return answer_prompt(self.run.task, text)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The finetuned model's answer to each input, in order. Raises `PromptTooLongError` for too long a one."""
        return self._answers(texts, self._weights)

    def predict_base(self, texts: Sequence[str]) -> list[str]:
        """The same of the base model: few-shot prompting."""
        return self._answers(texts, None)

    @contextmanager
    def peft(self) -> Iterator[Any]:
        """The model as an object of PEFT (transformers, after a full finetuning), for the length of a `with` block."""
        with self._engine.model(self._weights) as model:
            yield model

    def _answers(self, texts: Sequence[str], weights: Weights | None) -> list[str]:
        if isinstance(texts, str):
            raise TypeError("predict takes a list of inputs, not one text")
        requests = [self._asked.request(self._engine, text, weights) for text in texts]
        return [answers[0].text for answers in self._engine.generate(requests)]

    def close(self) -> None:
        """Give the memory back; the weights are loaded again if the model is asked again."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _in_this_process(config: RunConfig) -> RunConfig:
    if config.engine.name == "hf":
        return config
    with own_hydra():
        return replace(config, engine=typed(composed(["engine=hf"])).engine)
