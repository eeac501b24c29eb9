"""Prompt-optimised ICL: GEPA (arXiv 2507.19457) rewrites the instruction, by its own package; nothing is trained.

A model answers labelled examples; another reads its errors and proposes a new instruction; candidates are kept on a
Pareto front over the examples, and the best one answers. Here the student answers with the demonstrations in its
prompt, and the teacher (by default the student) proposes. Not as published: the examples are the task's
demonstrations alone, each answered behind the others, for training and validation at once (there hundreds of labelled
ones: `examples=gold` claims the gold pool), and there is one component, the instruction.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from selfguide.config.methods import GepaConfig
from selfguide.core.errors import DataError
from selfguide.core.files import write_json
from selfguide.core.optional import optional
from selfguide.core.seeding import child_seed
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.methods.result import MethodResult
from selfguide.models.base import Request, Sampling
from selfguide.models.requests import build_request, complete
from selfguide.models.session import LanguageModel, Session
from selfguide.prompts.selfguide import Turn, answer_prompt
from selfguide.store import Journal, Stage, StoredStage, Workspace, fingerprint, journal_tokens
from selfguide.synthesis.sampling import spread_over_labels
from selfguide.tasks.metrics import score_task

PART = "instruction"


class Rewritten(NamedTuple):
    """The best instruction, its mean score on the examples, the first one's, and how many were tried."""

    instruction: str
    score: float
    first_score: float
    tried: int


def run(session: Session) -> MethodResult:
    """The base model with another instruction."""
    config, task = session.config.method, session.task
    assert isinstance(config, GepaConfig)
    examples = tuple(Instance(str(i), d.input, (d.output,)) for i, d in enumerate(task.demonstrations))
    if config.examples == "gold":
        known = {Example(row.input, row.references[0]): row for row in session.gold_rows}
        drawn = spread_over_labels(session.gold_pool, task.labels, config.items, session.config.seed, "gepa")
        examples = tuple(known[pair] for pair in drawn)
    if not examples:
        raise DataError("method=gepa: the task has no demonstrations to judge instructions by")
    stage = RewriteInstruction(
        session.student, session.teacher, task, examples, config.calls, config.reflected,
        session.config.evaluation.max_new_tokens, config.max_new_tokens, session.config.seed,
    )  # fmt: skip
    made = session.run("prompt", stage).value
    notes = {"gepa": made._asdict()}
    if made.instruction == task.instruction:
        why = "GEPA found no better instruction: the task's own is used"
        return MethodResult(warnings=(why,), diagnostics=notes)
    return MethodResult(predictor=Instructed(session, made.instruction), diagnostics=notes)


class Instructed:
    """Answers as an evaluation does, with another instruction."""

    def __init__(self, session: Session, instruction: str) -> None:
        self._session, self._task = session, replace(session.task, instruction=instruction)
        self.identity = f"instruction+{fingerprint([instruction])}"

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """Greedy, `evaluation.batch` at a time."""
        config, model = self._session.config.evaluation, self._session.student
        choices = self._task.labels if config.decoding == "constrained" else ()
        answers: list[str] = [text for row in journal.rows for text in row["answers"]]
        while len(answers) < len(inputs):
            batch = inputs[len(answers) : len(answers) + config.batch]
            prompts = [answer_prompt(self._task, text) for text in batch]
            asked = [
                build_request(model, prompt, Sampling(config.max_new_tokens, choices=choices)) for prompt in prompts
            ]
            answers += _asked(model, asked, journal, "answers")
            if progress is not None:
                progress(len(batch))
        return answers


@dataclass(frozen=True)
class RewriteInstruction(Stage[Rewritten]):
    """`calls` scored answers at most; a killed search goes on from its journal, to the same instruction."""

    kind: ClassVar[str] = "prompt"
    version: ClassVar[int] = 1

    model: LanguageModel
    teacher: LanguageModel
    task: TaskSpec
    examples: tuple[Instance, ...]
    calls: int
    reflected: int
    max_new_tokens: int
    max_instruction_tokens: int
    seed: int

    def build(self, work: Workspace) -> dict[str, Any]:
        optimize = optional("gepa", "method=gepa", "gepa").optimize
        with work.journal() as journal, work.bar("instructions", self.calls, "scored answers") as bar:
            search = _Search(self, journal, bar.advance)
            found = optimize(
                seed_candidate={PART: self.task.instruction},
                trainset=list(self.examples),
                valset=list(self.examples),
                adapter=search,
                reflection_lm=search.reflect,
                reflection_minibatch_size=min(self.reflected, len(self.examples)),
                max_metric_calls=self.calls,
                logger=_Silent(),
                seed=child_seed(self.seed, "gepa") % 2**32,
            )
            best = found.best_idx
            scores = found.val_aggregate_scores
            # Of candidates as good as the task's own, its own.
            best = 0 if scores[0] >= scores[best] else best
            made = Rewritten(found.candidates[best][PART], scores[best], scores[0], len(found.candidates))
            write_json(work.path / "prompt.json", made._asdict())
            return {"tokens": journal_tokens(journal)}

    def load(self, stored: StoredStage) -> Rewritten:
        return Rewritten(**json.loads((stored.path / "prompt.json").read_text(encoding="utf-8")))


class _Search:
    """GEPA's adapter: what was asked before a kill is answered from the journal, in the same order."""

    propose_new_texts = None

    def __init__(self, stage: RewriteInstruction, journal: Journal, progress: Callable[[int], None]) -> None:
        self._stage, self._journal, self._progress = stage, journal, progress
        self._past, self._proposals = iter(list(journal.rows)), 0

    def evaluate(self, batch: list[Instance], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Greedy answers with this instruction; no demonstration is shown to itself."""
        task = replace(self._stage.task, instruction=candidate[PART])
        sampling = Sampling(self._stage.max_new_tokens)
        shown = [tuple(d for d in task.demonstrations if d.input != row.input) for row in batch]
        model = self._stage.model
        asked = [
            build_request(model, answer_prompt(task, r.input, s), sampling) for r, s in zip(batch, shown, strict=True)
        ]
        texts = self._ask(model, asked)
        scores = [score_task(task, text, row) for text, row in zip(texts, batch, strict=True)]
        self._progress(len(batch))
        traces = list(zip(batch, texts, scores, strict=True)) if capture_traces else None
        result = optional("gepa.core.adapter", "method=gepa", "gepa").EvaluationBatch
        return result(outputs=texts, scores=scores, trajectories=traces)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """What the teacher reads: inputs, answers, and the right ones."""
        rows = [
            {
                "Inputs": row.input,
                "Generated Outputs": text,
                "Feedback": f"{'Right' if score >= 1 else 'Wrong'}. The correct output is: {row.references[0]}",
            }
            for row, text, score in eval_batch.trajectories
        ]
        return dict.fromkeys(components_to_update, rows)

    def reflect(self, prompt: str | list[dict[str, Any]]) -> str:
        """The teacher's reply to GEPA's own prompt."""
        text = prompt if isinstance(prompt, str) else "\n\n".join(str(turn["content"]) for turn in prompt)
        self._proposals += 1
        sampling = Sampling(self._stage.max_instruction_tokens, temperature=1.0)
        seed = child_seed(self._stage.seed, "gepa", self._proposals)
        [reply] = self._ask(self._stage.teacher, [build_request(self._stage.teacher, _Free(text), sampling, seed)])
        return reply

    def _ask(self, model: LanguageModel, requests: Sequence[Request]) -> list[str]:
        past = next(self._past, None)
        return _asked(model, requests, self._journal, "texts") if past is None else list(past["texts"])


@dataclass(frozen=True, slots=True)
class _Free:
    """A prompt of somebody else's wording."""

    text: str
    stop: tuple[str, ...] = ()

    def plain(self) -> str:
        return self.text

    def turns(self) -> tuple[Turn, ...]:
        return (Turn("user", self.text),)


class _Silent:
    def log(self, message: str) -> None:
        """The run's own bar tells how far it is."""


def _asked(model: LanguageModel, requests: Sequence[Request], journal: Journal, name: str) -> list[str]:
    """One completion each, "" without room, kept in the journal."""
    before = model.engine.tokens.copy()
    texts = ["" if found is None else found[0].text for found in complete(model.engine, requests)]
    journal.append({name: texts, "tokens": (model.engine.tokens - before).counts()})
    return texts
