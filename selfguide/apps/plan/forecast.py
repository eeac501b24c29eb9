"""From a small round to the whole run: simulated runs, their median and the middle 90 %. Pure.

Yield: a proposal passes the other filters with a chance the round tells (Jeffreys interval), and
repeats an earlier one the likelier the fuller the pool is; how fast, the repeats among the few tell.
Time: units times measured seconds, widened for what a small round cannot see.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selfguide.apps.plan.measured import Calls, Measured
from selfguide.config.schema import RunConfig

Draws = NDArray[np.float64]
LEVEL = 0.9
# A machine is not equally fast from one minute to the next; on a GPU larger batches are also faster per unit.
TIMING_SPREAD = 0.2
GPU_SPEEDUP = 0.5
TOKEN_SPREAD = 0.05
# The evaluation asks about other texts than those it was timed on.
OTHER_PROMPTS = 0.1
OTHER_ANSWERS = 0.4
MEMORY_GROWTH = 1.3


def forecast(config: RunConfig, measured: Measured, draws: int, gpu: bool = False, seed: int = 0) -> dict[str, Any]:
    """Quantities by name (`seconds.inputs`, `count.train`, …), each with `value`, `low` and `high`."""
    simulation = _Simulation(config, measured, draws, gpu, np.random.default_rng(seed))
    quantities = {name: _interval(values) for name, values in simulation.run().items()}
    for name, peak in measured.memory.items():
        quantities[f"memory.{name}"] = {"value": peak * 1.1, "low": peak * 0.9, "high": peak * MEMORY_GROWTH * 1.1}
    return {"level": LEVEL, "quantities": quantities}


class _Simulation:
    def __init__(
        self, config: RunConfig, measured: Measured, draws: int, gpu: bool, generator: np.random.Generator
    ) -> None:
        self.config, self.measured, self.draws, self.gpu, self.random = config, measured, draws, gpu, generator
        self.quantities: dict[str, Draws] = {}
        # Half of the draws keep today's load.
        self.quiet = measured.busy ** np.maximum(0, generator.uniform(-1, 1, draws))

    def run(self) -> dict[str, Draws]:
        config, measured = self.config, self.measured
        zero = np.zeros(self.draws)
        instances = np.full(self.draws, float(measured.instances))
        self.calls("baseline", measured.base, instances, extra=measured.start)
        rows = zero
        if config.method.kind == "selfguide":
            proposals, accepted = self.grow()
            annotated = self.random.binomial(accepted.astype(int), self.share(measured.elected, measured.outputs.units))
            rows = self.chosen(self.balanced(annotated.astype(float)))
            self.quantities |= {
                "count.proposed": proposals, "count.accepted_inputs": accepted,
                "count.annotated": annotated.astype(float), "count.train": rows,
            }  # fmt: skip
            self.calls("inputs", measured.inputs, proposals)
            self.calls("outputs", measured.outputs, accepted)
        if measured.training is not None:
            if config.method.kind == "selfguide":
                self.train("training", rows + measured.demonstrations * config.finetuning.added_demonstrations)
            copies = np.full(self.draws, float(measured.demonstrations * config.finetuning.demonstration_copies))
            controls = config.evaluation.controls and config.method.kind != "few_shot_finetune"
            annotator = config.method.kind == "selfguide" and config.annotation.annotator == "few_shot_finetuned"
            if controls or annotator or config.method.kind == "few_shot_finetune":
                self.train("few_shot_finetune", copies)
            self.calls("tuned", measured.tuned, instances * (2 if controls else 1))
        seconds = [values for name, values in self.quantities.items() if name.startswith("seconds.")]
        self.quantities["seconds.total"] = np.sum(seconds, axis=0)
        return self.quantities

    def grow(self) -> tuple[Draws, Draws]:
        """Proposals made and inputs accepted, round by round until the target."""
        measured, generation = self.measured, self.config.generation
        passes = self.share(measured.passed, measured.inputs.units)
        pairs = max(measured.passed * (measured.passed - 1) / 2, 1.0)
        repeats = measured.passed - measured.accepted
        collision = self.random.gamma(repeats + 0.5, 1 / pairs, self.draws)
        if not self.config.filters.duplicates:
            collision = np.zeros(self.draws)
        tail = self.random.uniform(0, 1, self.draws)
        pool = np.zeros(self.draws)
        proposals = np.zeros(self.draws)
        for _ in range(generation.rounds):
            going = pool < (generation.target or math.inf)
            # Equally likely texts run out at 1 - cn; a long tail of rare ones lasts longer. Which it is, is not known.
            new = tail * np.exp(-collision * pool) + (1 - tail) * np.maximum(0, 1 - collision * pool)
            gained = self.random.binomial(generation.prompts_per_round, passes * new)
            pool += np.where(going, gained, 0)
            proposals += np.where(going, generation.prompts_per_round, 0)
        return proposals, pool

    def balanced(self, annotated: Draws) -> Draws:
        """Training rows after balance and cap."""
        annotation, labels = self.config.annotation, self.measured.labels
        rows = annotated
        if labels and annotation.balance != "off":
            shares = self.random.dirichlet([count + 0.5 for count in labels.values()], self.draws)
            edge = shares.min(axis=1) if annotation.balance == "downsample" else shares.max(axis=1)
            rows = np.floor(annotated * edge) * len(labels)
        return np.minimum(rows, annotation.max_rows) if annotation.max_rows is not None else rows

    def chosen(self, rows: Draws) -> Draws:
        """Of them those that curation by a share and a budget of rows leave."""
        curation, budget = self.config.curation, self.config.budget
        if curation.kind != "none":
            rows = np.ceil(rows * (1 - curation.drop_share))
        return np.minimum(rows, budget.rows) if budget.kind == "equal_rows" and budget.rows is not None else rows

    def calls(self, stage: str, measured: Calls, units: Draws, extra: float = 0.0) -> None:
        """Tokens and seconds of a stage of model calls."""
        other = stage in ("baseline", "tuned")
        spread = math.hypot(measured.spread, OTHER_ANSWERS if other else TOKEN_SPREAD)
        prompt_spread = OTHER_PROMPTS if other else TOKEN_SPREAD
        tokens = np.exp(self.random.normal(0, spread, self.draws))
        self.quantities[f"prompt.{stage}"] = units * measured.per_unit(measured.prompt) * self.noise(prompt_spread)
        self.quantities[f"generated.{stage}"] = units * measured.per_unit(measured.generated) * tokens
        seconds = units * measured.per_unit(measured.seconds) * tokens * self.pace()
        if self.gpu and measured.units:
            # Between no gain and all of it from batches larger than the small round's.
            ratio = np.maximum(units / measured.units, 1.0)
            seconds = seconds / ratio ** self.random.uniform(0, GPU_SPEEDUP, self.draws)
        self.quantities[f"seconds.{stage}"] = seconds + extra * self.pace()

    def train(self, stage: str, rows: Draws) -> None:
        """Seconds of a training over all its epochs, and the tokens that it puts through the model."""
        training, finetuning = self.measured.training, self.config.finetuning
        assert training is not None
        steps = np.ceil(rows / finetuning.batch_size) * finetuning.max_epochs
        per_step = float(np.mean(training.steps))
        seconds = (training.overhead + steps * per_step) * self.pace()
        self.quantities[f"trained.{stage}"] = steps * training.tokens * self.noise(TOKEN_SPREAD)
        self.quantities[f"seconds.{stage}"] = np.where(rows > 0, seconds, 0.0)

    def share(self, hits: int, of: int) -> Draws:
        """A chance that was met `hits` times in `of`."""
        return self.random.beta(hits + 0.5, max(of - hits, 0) + 0.5, self.draws)

    def pace(self) -> Draws:
        """Later seconds for one measured: the others on this machine may stay or go, for the whole run."""
        return self.quiet * self.noise(TIMING_SPREAD)

    def noise(self, spread: float) -> Draws:
        return np.exp(self.random.normal(0, spread, self.draws))


def sweep_forecast(run: dict[str, Any], settings: int, distinct: int, tasks: int, seeds: int) -> dict[str, Any]:
    """Jobs and seconds of a sweep without racing, from one run's forecast.

    `distinct` settings differ in more than the epoch: the others find training and data in the store,
    and all of a task find its baseline there.
    """
    quantities = run["quantities"]
    jobs = settings * tasks * seeds

    def total(figure: str) -> float:
        def of(*stages: str) -> float:
            return sum(float(quantities.get(f"seconds.{stage}", {}).get(figure, 0.0)) for stage in stages)

        synthesis = of("inputs", "outputs", "training", "few_shot_finetune")
        return tasks * of("baseline") + distinct * tasks * seeds * synthesis + jobs * of("tuned")

    return {
        "jobs": jobs, "settings": settings, "tasks": tasks, "seeds": seeds,
        "seconds": {figure: total(figure) for figure in ("value", "low", "high")},
    }  # fmt: skip


def _interval(values: Draws) -> dict[str, float]:
    tail = (1 - LEVEL) / 2
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return {"value": float(middle), "low": float(low), "high": float(high)}
