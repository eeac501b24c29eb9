"""Which sampled answers are trained on, several to an input (ReST, STaR). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from selfguide.config.schema import AnnotationConfig, FiltersConfig
from selfguide.core.types import Instance, TaskSpec
from selfguide.synthesis.candidates import WORDING, Candidate, Sample
from selfguide.synthesis.vote import elect, judged_samples, likelihood, text_of
from selfguide.tasks.metrics import answer_in, score_task


@dataclass(frozen=True)
class Acceptance:
    """`per_input` different answers to an input at most: those that the vote elected, or that score `wrong_below`.

    `references` are the gold answers by candidate; none where the vote accepts.
    """

    per_input: int
    wrong_below: float = 1.0
    references: Mapping[str, tuple[str, ...]] | None = None

    def accept(
        self, task: TaskSpec, candidates: Sequence[Candidate], annotation: AnnotationConfig, filters: FiltersConfig
    ) -> list[Candidate]:
        """The candidates with the first accepted answer as `output`, each further one a candidate of its own behind."""
        if self.references is None:
            judged = elect(task, candidates, annotation, filters)
        else:
            judged = [c if c.dropped else self._by_gold(task, c, self.references[c.id], filters) for c in candidates]
        return [row for candidate in judged for row in self._rows(task, candidate, filters)]

    def right(self, task: TaskSpec, candidate: Candidate, references: tuple[str, ...], text: str) -> bool:
        """Whether an answer is right by the task's metric."""
        return score_task(task, text, Instance(candidate.id, candidate.input, references)) >= self.wrong_below

    def _by_gold(
        self, task: TaskSpec, candidate: Candidate, references: tuple[str, ...], filters: FiltersConfig
    ) -> Candidate:
        """The candidate with its likeliest right answer."""
        samples = judged_samples(task, candidate.samples, filters)
        right = [s for s in _ranked(samples) if self.right(task, candidate, references, text_of(s, filters))]
        share = len(right) / len(samples) if samples else 0.0
        if not right:
            return replace(candidate, samples=samples, share=share, dropped="no_right_answer")
        output = right[0].answer if task.is_classification else text_of(right[0], filters)
        return replace(candidate, samples=samples, share=share, output=output)

    def _rows(self, task: TaskSpec, candidate: Candidate, filters: FiltersConfig) -> list[Candidate]:
        if candidate.dropped is not None or candidate.output is None or task.is_classification:
            return [candidate]
        if self.references is None:
            winner = answer_in(task, candidate.output)
            accepted = [text_of(s, filters) for s in _ranked(candidate.samples) if s.answer == winner]
        else:
            references = self.references[candidate.id]
            texts = [text_of(sample, filters) for sample in _ranked(candidate.samples)]
            accepted = [text for text in texts if self.right(task, candidate, references, text)]
        others = [text for text in dict.fromkeys(accepted) if text != candidate.output][: self.per_input - 1]
        more = replace(candidate, samples=(), source=WORDING, parent=candidate.id)
        return [candidate, *(replace(more, id=f"{candidate.id}+{n}", output=t) for n, t in enumerate(others, 1))]


def _ranked(samples: Sequence[Sample]) -> list[Sample]:
    """Those that may vote, likeliest first."""
    return sorted((sample for sample in samples if sample.dropped is None), key=lambda sample: -likelihood(sample))
