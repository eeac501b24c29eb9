"""A model folder asked about micro tasks, by the engine that runs use: answers, label likelihoods, new inputs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from selfguide.config.serving import HFEngineConfig, ModelConfig
from selfguide.core.seeding import child_seed
from selfguide.core.types import Example
from selfguide.models.base import Request, Sampling, ScoreRequest
from selfguide.models.hf import HFEngine
from selfguide.prompts.selfguide import AnswerPrompt, InputPrompt, Prompt

ANSWER_TOKENS = 40
INPUT_TOKENS = 60
Floats = npt.NDArray[np.float64]


class Reader:
    """A context manager; leaving it gives the weights back."""

    def __init__(self, path: Path) -> None:
        model = ModelConfig(
            name="reader",
            path=str(path),
            revision=None,
            dtype="float32",
            prompt_format="plain",
            chat_template=None,
            template_options={},
            context_length=None,
            trust_remote_code=False,
        )
        engine = HFEngineConfig(
            name="hf",
            lifetime="keep",
            annotation_batch=64,
            evaluation_batch=256,
            batch_tokens=16384,
            device="cpu",
            attention="auto",
        )
        self.engine = HFEngine(model, engine)

    def answers(
        self, prompts: Sequence[AnswerPrompt], samples: int = 1, temperature: float = 0.0, seed: int = 0
    ) -> list[list[str]]:
        """`samples` answers to each prompt; temperature 0 is greedy."""
        return self._complete(prompts, Sampling(ANSWER_TOKENS, temperature, top_k=10, n=samples), seed)

    def inputs(self, prompts: Sequence[InputPrompt], seed: int = 0, temperature: float = 0.8) -> list[str]:
        """A new input for each prompt."""
        return [texts[0] for texts in self._complete(prompts, Sampling(INPUT_TOKENS, temperature, top_k=40), seed)]

    def likelihoods(self, prompts: Sequence[AnswerPrompt], labels: Sequence[str]) -> Floats:
        """Log-probability [prompt, label] of each label as the whole answer."""
        tokenizer = self.engine.tokenizer
        shown = [tokenizer.encode_prompt(prompt) for prompt in prompts]
        ends = [tokenizer.encode_answer(label) for label in labels]
        scored = self.engine.score([ScoreRequest(ids, end) for ids in shown for end in ends])
        return np.array([sum(values) for values in scored]).reshape(len(shown), len(ends))

    def _complete(self, prompts: Sequence[Prompt], sampling: Sampling, seed: int) -> list[list[str]]:
        requests = [
            Request(
                self.engine.tokenizer.encode_prompt(prompt),
                replace(sampling, stop=prompt.stop),
                child_seed(seed, "prompt", number),
            )
            for number, prompt in enumerate(prompts)
        ]
        return [[one.text for one in completions] for completions in self.engine.generate(requests)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.engine.close()


def asked(instruction: str, demonstrations: Sequence[Example], instances: Sequence[Example]) -> list[AnswerPrompt]:
    """The few-shot prompt of each instance."""
    return [AnswerPrompt(instruction, tuple(demonstrations), instance.input) for instance in instances]
