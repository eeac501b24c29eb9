"""Step 6: greedy answers of base and finetuned weights to the same prompts. Paper section 3.5.

The only code that turns gold instances into requests; what it sends is the input, never a reference.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from selfguide.config.schema import EvaluationConfig
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.models.base import Request, Sampling, Weights
from selfguide.models.requests import build_request, complete
from selfguide.models.session import LanguageModel
from selfguide.prompts.rendered import Rendered
from selfguide.prompts.selfguide import answer_prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal, Stage, StoredStage, Workspace, fingerprint, journal_tokens, keyed


class Predictor(Protocol):
    """Answers inputs in another way than by the evaluation's prompt: a classifier, or prompts made for each input.

    `identity` names all that its answers depend on beside model, task and inputs.
    """

    identity: str

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """One answer per input, in order. `journal` keeps what a killed run need not do again."""
        ...


@dataclass(frozen=True, slots=True)
class System:
    """What is evaluated. By default the base model with the task's demonstrations: few-shot ICL."""

    weights: Weights | None = None
    demonstrations: tuple[Example, ...] | None = None
    predictor: Predictor | None = None

    @property
    def stage_identity(self) -> str:
        """What its answers depend on beside model, task and inputs."""
        if self.predictor is not None:
            return self.predictor.identity
        name = "base" if self.weights is None else self.weights.name
        if self.demonstrations is None:
            return name
        return f"{name}+{fingerprint([(d.input, d.output) for d in self.demonstrations])}"

    @property
    def folder(self) -> Path | None:
        """Of what was trained to answer."""
        return self.weights.path if self.weights is not None else getattr(self.predictor, "folder", None)


BASE = System()


class Query(NamedTuple):
    """One input for one system."""

    instance: Instance
    system: System


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer to one instance. `too_long`: the prompt left no room, so there is no answer.

    `demonstrations` are those that a predictor made for this instance alone (Self-ICL).
    """

    id: str
    text: str
    too_long: bool = False
    demonstrations: tuple[tuple[str, str], ...] | None = None

    def to_row(self) -> dict[str, Any]:
        """As the stage keeps it."""
        shown = {} if self.demonstrations is None else {"demonstrations": self.demonstrations}
        return {"id": self.id, "text": self.text, **shown}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Prediction":
        """The inverse."""
        shown = row.get("demonstrations")
        pairs = None if shown is None else tuple((text, output) for text, output in shown)
        return cls(row["id"], row["text"], demonstrations=pairs)


def predict(
    model: LanguageModel,
    task: TaskSpec,
    config: EvaluationConfig,
    queries: Sequence[Query],
    journal: Journal,
    progress: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """A prediction for each query; all go through the engine as one stream of requests, `config.batch` at a time.

    `progress` is told what is answered now, not what the journal holds.
    """
    sampling = Sampling(config.max_new_tokens, choices=task.labels if config.decoding == "constrained" else ())
    # Systems differ in their weights more often than in their prompts.
    encoded: dict[tuple[str, tuple[Example, ...] | None], Rendered] = {}

    def request(query: Query) -> Request:
        text, shown = query.instance.input, query.system.demonstrations
        if (text, shown) not in encoded:
            encoded[text, shown] = model.render(answer_prompt(task, text, shown))
        built = build_request(model, answer_prompt(task, text, shown), sampling, rendered=encoded[text, shown])
        return replace(built, weights=query.system.weights)

    rows: list[dict[str, Any]] = [row for batch in journal.rows for row in batch["rows"]]
    for start in range(len(rows), len(queries), config.batch):
        batch = queries[start : start + config.batch]
        before = model.engine.tokens.copy()
        completions = complete(model.engine, [request(query) for query in batch])
        new = [
            {"id": query.instance.id, "text": "" if answers is None else answers[0].text, "too_long": answers is None}
            for query, answers in zip(batch, completions, strict=True)
        ]
        journal.append({"rows": new, "tokens": (model.engine.tokens - before).counts()})
        rows.extend(new)
        if progress is not None:
            progress(len(new))
    return [Prediction(**row) for row in rows]


def prompt_ids(
    tokenizer: PromptTokenizer, task: TaskSpec, text: str, demonstrations: tuple[Example, ...] | None = None
) -> tuple[int, ...]:
    """The prompt that an engine is sent for an input, as token ids; None: the task's demonstrations."""
    return tokenizer.encode_prompt(answer_prompt(task, text, demonstrations))


def systems_and_inputs(queries: Sequence[Query]) -> dict[str, Any]:
    """What of the queries decides the answers; the texts themselves are not written into the store."""
    rows = [(instance.id, instance.input, system.stage_identity) for instance, system in queries]
    return {"systems": list(dict.fromkeys(identity for *_, identity in rows)), "inputs": fingerprint(rows)}


@dataclass(frozen=True)
class Predict(Stage[list[Prediction]]):
    """A prediction for each query; greedy, so no seed is among the inputs."""

    kind: ClassVar[str] = "predictions"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    evaluation: EvaluationConfig
    queries: tuple[Query, ...] = field(metadata=keyed(systems_and_inputs))

    def build(self, work: Workspace) -> dict[str, Any]:
        predictors = {q.system.predictor.identity: q.system.predictor for q in self.queries if q.system.predictor}
        prompted = [query for query in self.queries if query.system.predictor is None]
        with work.journal() as journal, work.bar(f"answers ({work.name})", len(self.queries), "answers") as bar:
            bar.resume(sum(len(batch["rows"]) for batch in journal.rows))
            # Without a query no engine is started.
            given = predict(self.model, self.task, self.evaluation, prompted, journal, bar.advance) if prompted else []
            streams, spent = {"": iter(given)}, [journal_tokens(journal)]
            for number, (identity, predictor) in enumerate(predictors.items()):
                instances = [q.instance for q in self.queries if q.system.stage_identity == identity]
                with work.journal(f"journal-{number}.jsonl") as units:
                    texts = predictor.answer([instance.input for instance in instances], units, bar.advance)
                    spent.append(journal_tokens(units))
                    shown = [few for row in units.rows for few in row.get("demonstrations", ())]
                streams[identity] = (
                    Prediction.from_row({"id": i.id, "text": text, "demonstrations": few})
                    for i, text, few in zip(instances, texts, shown or [None] * len(texts), strict=True)
                )
        answers = [next(streams[q.system.predictor.identity if q.system.predictor else ""]) for q in self.queries]
        write_jsonl(work.path / "predictions.jsonl", (answer.to_row() for answer in answers))
        known = [kind for kind in spent[0] if all(kind in tokens for tokens in spent)]
        tokens = {kind: sum(counts[kind] for counts in spent) for kind in known}
        return {"tokens": tokens, "too_long": sum(answer.too_long for answer in answers)}

    def reads(self) -> Iterable[Path]:
        return {folder for query in self.queries if (folder := query.system.folder) is not None}

    def load(self, stored: StoredStage) -> list[Prediction]:
        return [Prediction.from_row(row) for row in read_jsonl(stored.path / "predictions.jsonl")]
