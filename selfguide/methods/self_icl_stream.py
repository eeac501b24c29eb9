"""Self-ICL as published: demonstrations made anew for each test input (stream mode).

Sees test inputs, as every answer does, and no reference. Costs `demonstrations` + 2 calls per input.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from selfguide.config.methods import SelfICLConfig
from selfguide.engines.base import Completion, Request, Sampling, room
from selfguide.prompts import InputPrompt, Prompt, answer_prompt
from selfguide.seeding import child_random, child_seed
from selfguide.session import Session, fields_of
from selfguide.stages import fingerprint
from selfguide.store.atomic import Journal
from selfguide.synthesis.text import strip_field_name, strip_quotes
from selfguide.types import Example


class SelfICLAnswerer:
    """Answers each input with pseudo-demonstrations made for it."""

    def __init__(self, session: Session) -> None:
        config = session.config.method
        assert isinstance(config, SelfICLConfig)
        self._session, self._config = session, config
        self._task = session.task
        kept = fingerprint([fields_of(config), fields_of(session.config.temperature), session.config.seed])
        self.identity = f"self_icl+{kept}"

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """Batches of inputs; each goes through three waves of requests: new inputs, their labels, the answer."""
        answers: list[str] = [text for row in journal.rows for text in row["answers"]]
        if progress is not None:
            progress(len(answers))
        while len(answers) < len(inputs):
            start = len(answers)
            batch = inputs[start : start + self._session.config.evaluation.batch]
            before = self._session.engine.tokens.copy()
            shown = self._demonstrations(batch, start)
            texts = [one.text for one in self._ask_answers(list(zip(batch, shown, strict=True)))]
            row = {"answers": texts, "demonstrations": [[[d.input, d.output] for d in few] for few in shown]}
            journal.append({**row, "tokens": (self._session.engine.tokens - before).counts()})
            answers.extend(texts)
            if progress is not None:
                progress(len(texts))
        return answers

    def _demonstrations(self, batch: Sequence[str], start: int) -> list[tuple[Example, ...]]:
        """Distinct new inputs for each test input, never the test input itself, with zero-shot (or random) outputs."""
        wanted = range(self._config.demonstrations)
        asked = [(place, number) for place in range(len(batch)) for number in wanted]
        written = self._ask(
            [InputPrompt(self._task.instruction, (Example(batch[place], ""),)) for place, _ in asked],
            self._session.config.generation.max_new_tokens,
            self._config.input_temperature,
            [("input", start + place, number) for place, number in asked],
        )
        made: list[list[str]] = [[] for _ in batch]
        for (place, _), completion in zip(asked, written, strict=True):
            text = strip_quotes(strip_field_name(completion.text))
            if text and text != batch[place].strip() and text not in made[place]:
                made[place].append(text)
        flat = [(place, text) for place, texts in enumerate(made) for text in texts]
        outputs = self._labels([text for _, text in flat], start)
        found: list[list[Example]] = [[] for _ in batch]
        for (place, text), output in zip(flat, outputs, strict=True):
            if output:
                found[place].append(Example(text, output))
        return [tuple(few) for few in found]

    def _labels(self, inputs: Sequence[str], start: int) -> list[str]:
        if self._config.labels == "random":
            stream = child_random(self._session.config.seed, "self_icl", "labels", start)
            return [stream.choice(self._task.labels) for _ in inputs]
        return [one.text for one in self._ask_answers([(text, ()) for text in inputs])]

    def _ask_answers(self, asked: Sequence[tuple[str, tuple[Example, ...]]]) -> list[Completion]:
        prompts = [answer_prompt(self._task, text, shots) for text, shots in asked]
        constrained = self._config.constrain_to_labels and self._task.is_classification
        choices = self._task.labels if constrained else ()
        return self._ask(prompts, self._session.config.evaluation.max_new_tokens, 0.0, None, choices)

    def _ask(
        self,
        prompts: Sequence[Prompt],
        most: int,
        temperature: float,
        streams: Sequence[tuple[str, int, int]] | None = None,
        choices: tuple[str, ...] = (),
    ) -> list[Completion]:
        """One completion per prompt; "" where the context leaves no room."""
        engine, tokenizer = self._session.engine, self._session.tokenizer
        ids = [tokenizer.encode_prompt(prompt) for prompt in prompts]
        rooms = [room(engine.context_length, len(one), most) for one in ids]
        base = Sampling(most, temperature, stop=tokenizer.stop(prompts[0]) if prompts else (), choices=choices)
        seeds = [0] * len(ids)
        if streams is not None:
            seeds = [child_seed(self._session.config.seed, "self_icl", *stream) for stream in streams]
        requests = [
            Request(one, replace(base, max_new_tokens=left), seed)
            for one, left, seed in zip(ids, rooms, seeds, strict=True)
            if left > 0
        ]
        answers = iter(engine.generate(requests))
        return [next(answers)[0] if left > 0 else Completion("", (), 0.0, "length") for left in rooms]
