"""The loop's stages that call the teacher, and the one that composes the rows of a training."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from selfguide.config.loop import JudgeConfig, LoopConfig, ProposeConfig
from selfguide.config.schema import AnnotationConfig, FiltersConfig
from selfguide.core.files import read_examples, read_jsonl, write_jsonl
from selfguide.core.seeding import SeedStream
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Debias, Sampling
from selfguide.models.session import LanguageModel
from selfguide.prompts.neighbours import JointPrompt
from selfguide.store import Stage, StoredStage, Workspace, fingerprint, journal_tokens, keyed
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.lengths import token_limit
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.request_writer import AttributePool
from selfguide.synthesis.stages import Candidates, read_candidates, write_candidates
from selfguide.synthesis.waves import MAX_JOINT_ITEMS


def pairs_of(candidates: Sequence[Candidate]) -> list[tuple[str, str | None]]:
    """(input, output) of each: all that later candidates are judged by, or a training sees."""
    return [(candidate.input, candidate.output) for candidate in candidates]


def asking(config: LoopConfig) -> dict[str, Any]:
    """What of a loop's configuration decides which attributes the model names."""
    propose = config.propose
    return {"attributes": config.attributes, "show_demonstrations": propose.show_demonstrations, "batch": propose.batch}


def reply_limit(task: TaskSpec, requests: Sequence[ProposalRequest], propose: ProposeConfig) -> int:
    """Tokens that a reply may take: of an input, or of as many pairs as are asked for at once."""
    configured = propose.draw.max_new_tokens
    pairs = max((request.count for request in requests if isinstance(request.prompt, JointPrompt)), default=0)
    longest = token_limit(configured, (d.input + (d.output if pairs else "") for d in task.demonstrations))
    return longest if configured or not pairs else longest * (MAX_JOINT_ITEMS if propose.grow else pairs)


@dataclass(frozen=True)
class AskAttributes(Stage[AttributePool]):
    """The model names conditions (ZeroGen) or reasons for each label (S3) for its proposals to draw from."""

    kind: ClassVar[str] = "plan"
    version: ClassVar[int] = 2

    model: LanguageModel
    task: TaskSpec
    config: LoopConfig = field(metadata=keyed(asking))
    seed: int

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.synthesis.attributes import ask_attributes

        seeds = SeedStream(self.seed, ("loop",))
        with work.journal() as journal, work.bar("plan", None, "calls") as bar:
            pool = ask_attributes(self.model, self.task, self.config, seeds, journal, bar.advance)
            rows = [{"label": None, "text": text} for text in pool.conditions]
            rows += [{"label": label, "text": text} for label, texts in pool.reasons.items() for text in texts]
            write_jsonl(work.path / "attributes.jsonl", rows)
            return {"tokens": journal_tokens(journal)}

    def load(self, stored: StoredStage) -> AttributePool:
        conditions: list[str] = []
        reasons: dict[str, tuple[str, ...]] = {}
        for row in read_jsonl(stored.path / "attributes.jsonl"):
            if row["label"] is None:
                conditions.append(row["text"])
            else:
                reasons[row["label"]] = (*reasons.get(row["label"], ()), row["text"])
        return AttributePool(tuple(conditions), reasons)


@dataclass(frozen=True)
class ProposeItems(Stage[Candidates]):
    """A wave of proposals, judged against what is `known` (not to be repeated) and `kept` so far.

    `filters` are SELF-GUIDE's, where they judge too. Of the budget, `calls_per_kept` are left for each kept item.
    """

    kind: ClassVar[str] = "proposals"
    version: ClassVar[int] = 4

    model: LanguageModel
    task: TaskSpec
    requests: tuple[ProposalRequest, ...] = field(metadata=keyed(lambda rows: fingerprint([asdict(r) for r in rows])))
    propose: ProposeConfig
    rules: JudgeConfig
    filters: FiltersConfig | None
    known: tuple[str, ...]
    kept: Candidates = field(metadata=keyed(pairs_of))
    budget: CallBudget
    calls_per_kept: int
    seed: int

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.synthesis.generator import Generator
        from selfguide.synthesis.judge import loop_judge
        from selfguide.synthesis.waves import propose_in_waves

        current = [request.exemplar for request in self.requests if request.exemplar is not None]
        judge = loop_judge(self.task, self.rules, self.filters, self.known, self.kept, current)
        draw, debias = self.propose.draw, self.propose.debias
        sampling = Sampling(
            reply_limit(self.task, self.requests, self.propose),
            draw.known_temperature,
            draw.top_k,
            draw.top_p,
            debias=Debias(debias.strength, debias.floor),
        )
        seeds = SeedStream(self.seed, ("loop", "sample"))
        name = f"proposals (round {self.requests[0].round})"
        with work.journal() as journal, work.bar(name, None, "items") as bar:
            bar.resume(sum(len(batch["candidates"]) for batch in journal.rows))
            generator = Generator(self.model, sampling, seeds, judge, journal, bar.advance)
            made = propose_in_waves(generator, self.requests, self.propose, self.budget, self.calls_per_kept)
            write_candidates(work, made)
            return {"tokens": journal_tokens(journal)}

    def load(self, stored: StoredStage) -> Candidates:
        return read_candidates(stored)


@dataclass(frozen=True)
class ComposeRows(Stage[tuple[Example, ...]]):
    """The rows of a training out of kept candidates: balanced and capped, if asked for."""

    kind: ClassVar[str] = "loop_dataset"
    version: ClassVar[int] = 1

    task: TaskSpec
    annotation: AnnotationConfig = field(metadata=keyed(lambda a: {"balance": a.balance, "max_rows": a.max_rows}))
    candidates: Candidates = field(metadata=keyed(pairs_of))
    seed: int

    def build(self, work: Workspace) -> None:
        from selfguide.synthesis.dataset import compose

        pairs, _ = compose(self.task, self.candidates, self.annotation, self.seed)
        write_jsonl(work.path / "dataset.jsonl", (asdict(pair) for pair in pairs))

    def load(self, stored: StoredStage) -> tuple[Example, ...]:
        return read_examples(stored.path / "dataset.jsonl")
