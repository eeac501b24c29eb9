"""Self-ICL as published: demonstrations made anew for each test input (stream mode).

Sees test inputs, as every answer does, and no reference. With n demonstrations an input costs n + 2
calls when one call writes all new inputs, else 2n + 1.
"""

from collections.abc import Callable, Sequence

from selfguide.config.identity import knobs_of
from selfguide.config.methods import SelfICLConfig
from selfguide.core.errors import ConfigError
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.text import strip_field_name, strip_quotes
from selfguide.core.types import Example
from selfguide.models.base import Completion, Sampling
from selfguide.models.requests import build_request, complete
from selfguide.models.session import Session
from selfguide.prompts.neighbours import NewInstancesPrompt
from selfguide.prompts.selfguide import InputPrompt, Prompt, answer_prompt
from selfguide.store import Journal, fingerprint
from selfguide.synthesis.lengths import token_limit
from selfguide.synthesis.replies import distinct, read_instances


class SelfICLPredictor:
    """Answers each input with pseudo-demonstrations made for it. `ConfigError`: random labels without labels."""

    def __init__(self, session: Session) -> None:
        config = session.config.method
        assert isinstance(config, SelfICLConfig)
        self._session, self._config = session, config
        self._task = session.task
        if config.labels == "random" and not self._task.labels:
            raise ConfigError("method.labels: random is not allowed for a task without labels; allowed: zero_shot")
        self._choices = self._task.labels if config.constrain_to_labels and self._task.is_classification else ()
        # Beside model, task, inputs and the longest answer, which the evaluation names.
        self._longest = token_limit(
            session.config.generation.max_new_tokens, (shown.input for shown in self._task.demonstrations)
        )
        content = {
            **knobs_of(config, "predictions"),
            "choices": list(self._choices),
            "max_new_tokens": self._longest,
            "seed": session.config.seed,
        }
        self.identity = f"self_icl+{fingerprint({'version': 4, **content})}"

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """Batches of inputs; each goes through three waves of requests: new inputs, their labels, the answer."""
        answers: list[str] = [text for row in journal.rows for text in row["answers"]]
        if progress is not None:
            progress(len(answers))
        while len(answers) < len(inputs):
            batch = inputs[len(answers) : len(answers) + self._session.config.evaluation.batch]
            before = self._session.engine.tokens.copy()
            shown = self._demonstrations(batch)
            texts = [answer.text for answer in self._answers(list(zip(batch, shown, strict=True)))]
            row = {"answers": texts, "demonstrations": [[[d.input, d.output] for d in few] for few in shown]}
            journal.append({**row, "tokens": (self._session.engine.tokens - before).counts()})
            answers.extend(texts)
            if progress is not None:
                progress(len(texts))
        return answers

    def _demonstrations(self, batch: Sequence[str]) -> list[tuple[Example, ...]]:
        """Distinct new inputs for each test input, never the test input itself, with zero-shot (or random) outputs."""
        written = self._in_one_call(batch) if self._config.one_call else self._one_by_one(batch)
        made = [distinct(texts, test) for texts, test in zip(written, batch, strict=True)]
        outputs = iter(self._labels(batch, made))
        pairs = [[Example(text, next(outputs)) for text in texts] for texts in made]
        return [tuple(pair for pair in few if pair.output) for few in pairs]

    def _in_one_call(self, batch: Sequence[str]) -> list[list[str]]:
        """All new inputs of a test input in one reply; fewer, or none, where the reply has fewer."""
        count = self._config.demonstrations
        prompts = [NewInstancesPrompt(self._task.instruction, test, count) for test in batch]
        sampling = Sampling(count * self._longest, self._config.input_temperature)
        replies = self._ask(prompts, sampling, [("inputs", test) for test in batch])
        opened = not self._session.student.speaks_chat
        return [read_instances(reply.text, count, opened=opened, cut=reply.finish == "length") for reply in replies]

    def _one_by_one(self, batch: Sequence[str]) -> list[list[str]]:
        """Each new input in a call of its own, apart by the random stream alone."""
        streams = [("input", test, number) for test in batch for number in range(self._config.demonstrations)]
        prompts = [InputPrompt(self._task.instruction, (Example(test, ""),)) for _, test, _ in streams]
        sampling = Sampling(self._longest, self._config.input_temperature)
        replies = self._ask(prompts, sampling, streams)
        texts = iter(["" if r.finish == "length" else strip_quotes(strip_field_name(r.text)) for r in replies])
        return [[next(texts) for _ in range(self._config.demonstrations)] for _ in batch]

    def _labels(self, batch: Sequence[str], inputs: Sequence[Sequence[str]]) -> list[str]:
        """An output for each new input, in order."""
        if self._config.labels == "random":
            labels = []
            for test, texts in zip(batch, inputs, strict=True):
                stream = child_random(self._session.config.seed, "self_icl", "labels", test)
                labels += [stream.choice(self._task.labels) for _ in texts]
            return labels
        answers = self._answers([(text, ()) for texts in inputs for text in texts])
        # Half an answer is none; a restricted one is whole at any length.
        return ["" if a.finish == "length" and not self._choices else a.text for a in answers]

    def _answers(self, queries: Sequence[tuple[str, tuple[Example, ...]]]) -> list[Completion]:
        """Greedy answers to inputs with their demonstrations."""
        prompts = [answer_prompt(self._task, text, shown) for text, shown in queries]
        sampling = Sampling(self._session.config.evaluation.max_new_tokens, choices=self._choices)
        return self._ask(prompts, sampling)

    def _ask(
        self, prompts: Sequence[Prompt], sampling: Sampling, streams: Sequence[tuple[str | int, ...]] = ()
    ) -> list[Completion]:
        """One completion per prompt; "" where the context leaves no room. Without streams nothing is drawn."""
        model = self._session.student
        # A stream is named by the test input's text: neither its index nor its batch counts.
        seeds = [child_seed(self._session.config.seed, "self_icl", *stream) for stream in streams] or [0] * len(prompts)
        requests = [build_request(model, prompt, sampling, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
        empty = Completion("", (), 0.0, "length")
        return [empty if answers is None else answers[0] for answers in complete(model.engine, requests)]
