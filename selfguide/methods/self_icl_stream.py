"""Self-ICL as published: demonstrations made anew for each test input (stream mode).

Sees test inputs, as every answer does, and no reference. With n demonstrations an input costs n + 2
calls when one call writes all new inputs, else 2n + 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from selfguide.config.methods import SelfICLConfig
from selfguide.core.errors import ConfigError
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.text import strip_field_name, strip_quotes
from selfguide.core.types import Example
from selfguide.models.base import Completion, Request, Sampling, room
from selfguide.models.session import Session
from selfguide.prompts.neighbours import NewInstancesPrompt
from selfguide.prompts.selfguide import InputPrompt, Prompt, answer_prompt
from selfguide.store import Journal, fingerprint
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
        self.identity = f"self_icl+{fingerprint(self._spec)}"

    @property
    def _spec(self) -> dict[str, object]:
        """What the answers depend on beside model, task, inputs and the longest answer, which the evaluation names."""
        config, run = self._config, self._session.config
        return {
            "version": 2,
            "demonstrations": config.demonstrations,
            "one_call": config.one_call,
            "labels": config.labels,
            "choices": list(self._choices),
            "temperature": config.input_temperature,
            "max_new_tokens": run.generation.max_new_tokens,
            "seed": run.seed,
        }

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
            texts = [one.text for one in self._ask_answers(list(zip(batch, shown, strict=True)))]
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
        found = [[Example(text, next(outputs)) for text in texts] for texts in made]
        return [tuple(one for one in few if one.output) for few in found]

    def _in_one_call(self, batch: Sequence[str]) -> list[list[str]]:
        """All new inputs of a test input in one reply; fewer, or none, where the reply has fewer."""
        count = self._config.demonstrations
        prompts = [NewInstancesPrompt(self._task.instruction, test, count) for test in batch]
        most = count * self._session.config.generation.max_new_tokens
        replies = self._ask(prompts, most, self._config.input_temperature, [("inputs", test) for test in batch])
        opened = self._session.tokenizer.prompt_format == "plain"
        return [read_instances(one.text, count, opened=opened, cut=one.finish == "length") for one in replies]

    def _one_by_one(self, batch: Sequence[str]) -> list[list[str]]:
        """Each new input in a call of its own, apart by the random stream alone."""
        asked = [(test, number) for test in batch for number in range(self._config.demonstrations)]
        replies = self._ask(
            [InputPrompt(self._task.instruction, (Example(test, ""),)) for test, _ in asked],
            self._session.config.generation.max_new_tokens,
            self._config.input_temperature,
            [("input", *one) for one in asked],
        )
        texts = iter([strip_quotes(strip_field_name(one.text)) for one in replies])
        return [[next(texts) for _ in range(self._config.demonstrations)] for _ in batch]

    def _labels(self, batch: Sequence[str], made: Sequence[Sequence[str]]) -> list[str]:
        """An output for each new input, in order."""
        if self._config.labels == "random":
            labels = []
            for test, texts in zip(batch, made, strict=True):
                stream = child_random(self._session.config.seed, "self_icl", "labels", test)
                labels += [stream.choice(self._task.labels) for _ in texts]
            return labels
        return [one.text for one in self._ask_answers([(text, ()) for texts in made for text in texts])]

    def _ask_answers(self, asked: Sequence[tuple[str, tuple[Example, ...]]]) -> list[Completion]:
        prompts = [answer_prompt(self._task, text, shots) for text, shots in asked]
        return self._ask(prompts, self._session.config.evaluation.max_new_tokens, 0.0, None, self._choices)

    def _ask(
        self,
        prompts: Sequence[Prompt],
        most: int,
        temperature: float,
        streams: Sequence[tuple[str | int, ...]] | None = None,
        choices: tuple[str, ...] = (),
    ) -> list[Completion]:
        """One completion per prompt; "" where the context leaves no room."""
        engine, tokenizer = self._session.engine, self._session.tokenizer
        ids = [tokenizer.encode_prompt(prompt) for prompt in prompts]
        rooms = [room(engine.context_length, len(one), most) for one in ids]
        base = Sampling(most, temperature, stop=tokenizer.stop(prompts[0]) if prompts else (), choices=choices)
        seeds = [0] * len(ids)
        if streams is not None:
            # A stream is named by the test input's text: neither its place nor its batch counts.
            seeds = [child_seed(self._session.config.seed, "self_icl", *stream) for stream in streams]
        requests = [
            Request(one, replace(base, max_new_tokens=left), seed)
            for one, left, seed in zip(ids, rooms, seeds, strict=True)
            if left > 0
        ]
        answers = iter(engine.generate(requests))
        return [next(answers)[0] if left > 0 else Completion("", (), 0.0, "length") for left in rooms]
