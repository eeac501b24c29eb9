"""What a run did, in sentences: who wrote the inputs, who labelled them and how, which gold was used.

Composed from the method and the resolved settings, for the report, the cards, the summary and the tables: none of
them says anything about the data on its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from selfguide.analysis.description_loop import loop_gold, loop_inputs, loop_outputs, loop_requested_label, loop_votes
from selfguide.analysis.sentences import (
    accepted_outputs,
    count,
    preferred,
    share,
    verdict_sentence,
    vote_of_requested_label,
    voted_outputs,
    writer,
)
from selfguide.config.loop import LoopConfig
from selfguide.config.methods import RestConfig, SelfICLConfig
from selfguide.config.schema import RunConfig
from selfguide.core.types import TaskSpec

TITLES = {
    "selfguide": ("SELF-GUIDE", "2407.12874"),
    "selfguide_extrapolate": ("SELF-GUIDE with extrapolation", None),
    "zerogen": ("ZeroGen", "2202.07922"),
    "zerogen_debias": ("ZeroGen with self-debiasing", "2202.07922"),
    "zerogen_pairs": ("ZeroGen on pairs", "2202.07922"),
    "zerogen_qa": ("ZeroGen on question answering", "2202.07922"),
    "progen": ("ProGen", "2210.12329"),
    "progen_paper": ("ProGen at its published size", "2210.12329"),
    "s3": ("S3", "2310.13671"),
    "s3_pairs": ("S3 on pairs", "2310.13671"),
    "goldgen": ("GoldGen", "2310.13671"),
    "goldgen_pairs": ("GoldGen on pairs", "2310.13671"),
    "llm2llm": ("LLM2LLM", "2403.15042"),
    "loop": ("the loop", None),
    "gepa": ("GEPA", "2507.19457"),
    "rest": ("ReST with the vote as reward", "2308.08998"),
    "star": ("STaR", "2203.14465"),
    "self_icl": ("Self-ICL", "2305.15035"),
    "few_shot_finetune": ("few-shot finetuning", None),
    "gold_finetune": ("gold finetuning", None),
    "few_shot_icl": ("few-shot prompting", None),
    "zero_shot": ("zero-shot prompting", None),
}
"""Name and arXiv number of each recipe."""


@dataclass(frozen=True, slots=True)
class Description:
    """Sentences about a run; one that has nothing to say is empty."""

    method: str
    arxiv: str | None
    inputs: str
    outputs: str
    requested_label: str
    gold: str
    rows: str
    student: str
    voted: bool
    """Whether sampled answers elect outputs."""
    generates: bool
    """Whether inputs are written as `generation` says: by SELF-GUIDE's first step."""
    used: str
    """What became of the pairs that were kept: `trained on`, `shown as demonstrations` or just `kept`."""

    @property
    def data(self) -> tuple[str, ...]:
        """How the data came about: inputs, outputs, the label that was asked for, gold, what was left out."""
        said = (self.inputs, self.outputs, self.requested_label, self.gold, self.rows)
        return tuple(sentence for sentence in said if sentence)


def describe(config: RunConfig, result: Mapping[str, Any], task: TaskSpec) -> Description:
    """The sentences about a run with these settings and this `result.json`."""
    method = config.method
    title, arxiv = TITLES.get(method.name, (method.name, None))
    inputs, outputs, requested = _data(config, task)
    return Description(
        method=title,
        arxiv=arxiv,
        inputs=inputs,
        outputs=outputs,
        requested_label=requested,
        gold=" ".join(_gold(config, result, task)),
        rows=" ".join(_rows(config, result, task)),
        student=_student(config, result, task),
        voted=_votes(config, task),
        generates=_generates(config) and not task.inputs,
        used=pairs_used(config),
    )


def pairs_used(config: RunConfig) -> str:
    """What a run does with the pairs that it keeps."""
    if isinstance(config.method, SelfICLConfig):
        return "shown as demonstrations"
    return "kept" if config.finetuning.kind == "none" and config.student.kind == "causal" else "trained on"


def _generates(config: RunConfig) -> bool:
    method = config.method
    if isinstance(method, LoopConfig):
        return method.initial_data.source == "selfguide"
    if isinstance(method, RestConfig):
        return method.accept == "vote"
    return method.kind == "selfguide" or (isinstance(method, SelfICLConfig) and method.variant == "fill_context")


def _votes(config: RunConfig, task: TaskSpec) -> bool:
    return _generates(config) or (isinstance(config.method, LoopConfig) and loop_votes(config.method, task))


def makes_inputs(config: RunConfig) -> bool:
    """Whether the method writes inputs that are kept as data."""
    kind, method = config.method.kind, config.method
    if isinstance(method, SelfICLConfig):
        return method.variant == "fill_context"
    return kind not in ("few_shot_finetune", "gold_finetune", "few_shot_icl", "zero_shot", "gepa")


def _data(config: RunConfig, task: TaskSpec) -> tuple[str, str, str]:
    """The sentences on inputs, outputs and the label that was asked for."""
    method, shown = config.method, count(len(task.demonstrations), "demonstration")
    if isinstance(method, LoopConfig):
        return loop_inputs(config, task), loop_outputs(config, task), loop_requested_label(config, task)
    if isinstance(method, RestConfig) and method.accept == "gold":
        return "The inputs come from gold instances.", accepted_outputs(config, method, task), ""
    if _generates(config):
        conditioned = task.is_classification and config.generation.label_conditioning
        each = ", each for a label drawn at random" if conditioned else ""
        inputs = f"{writer(config)} wrote the inputs from the instruction and {shown}{each}."
        if task.inputs:
            conditioned, inputs = False, f"The {count(len(task.inputs), 'input')} were given, without outputs."
        requested = vote_of_requested_label(config.annotation, conditioned) if task.is_classification else ""
        if isinstance(method, RestConfig):
            return inputs, accepted_outputs(config, method, task), requested
        return inputs, voted_outputs(config, task), requested
    if isinstance(method, SelfICLConfig):
        labels = {"zero_shot": "answered them without examples", "random": "drew their labels at random"}
        made = f"For each test input the base model wrote new inputs like it and {labels[method.labels]}."
        return made, "", ""
    if method.kind == "few_shot_finetune":
        return f"The rows are copies of the task's {shown}; nothing was synthesised.", "", ""
    if method.kind == "gold_finetune":
        return "The rows are gold instances with their gold labels; nothing was synthesised.", "", ""
    if method.kind == "gepa":
        return f"{writer(config)} rewrote the instruction from errors; no rows were made.", "", ""
    if method.kind in ("few_shot_icl", "zero_shot"):
        return "", "", ""
    return f"The rows were made by {method.kind}, a method from outside selfguide: see its documentation.", "", ""


def _gold(config: RunConfig, result: Mapping[str, Any], task: TaskSpec) -> Iterator[str]:
    """What of the gold instances was used; `claims_gold` of the result decides whether any was."""
    method = config.method
    if result.get("claims_gold", method.claims_gold):
        said = loop_gold(method) if isinstance(method, LoopConfig) else []
        if isinstance(method, RestConfig):
            said = ["inputs of gold instances were answered, and their gold answers decided which answers were kept"]
        if method.kind == "gepa":
            said = ["instructions were judged by answers to gold instances"]
        if method.kind == "gold_finetune":
            said = ["the rows are gold instances"]
        elif not said and method.claims_gold:
            said = ["the method is given the gold pool"]
        yield f"Gold instances were used: {'; '.join(said) or 'a model that this run builds on was trained on them'}."
        if method.claims_gold:
            yield "The gold pool holds no instance that was evaluated."
        if seen := result.get("seen_instances"):
            yield f"{count(seen, 'evaluated instance')} were among those that a model behind this run was trained on."
    elif makes_inputs(config):
        shown = count(len(task.demonstrations), "demonstration")
        yield f"No gold instance was used besides the {shown}."
    if not result.get("instances", {"evaluated": 1})["evaluated"]:
        return  # without instances there is nothing to overlap with
    if makes_inputs(config) and config.filters.decontaminate == "drop":
        yield "The evaluation inputs were used only to drop synthetic inputs that overlap with them."
    elif makes_inputs(config):
        yield "Synthetic inputs that overlap with evaluation inputs were counted, not dropped."


def _rows(config: RunConfig, result: Mapping[str, Any], task: TaskSpec) -> Iterator[str]:
    """Which finished rows were left out, and which were added."""
    curation, curated = config.curation, result["drops"]["outputs"].get("curated", 0)
    judged = result.get("diagnostics", {}).get("judge")
    by = {
        "confidence": "whose output the base model finds least likely",
        "dynamics": "that a training on other rows makes least likely"
        if curation.judged_by == "halves"
        else "that a training on real rows makes least likely",
    }
    if makes_inputs(config) and curation.kind in by:
        each = " of each label" if curation.within_labels and task.is_classification else ""
        some = f"{share(curation.drop_share)} of the rows{each}"
        did = "corrected or dropped" if curation.correct else "dropped"
        yield f"Curation {did} the rows {by[curation.kind]} ({some}; {count(curated, 'row')} in this run)."
    elif judged is not None and curation.kind == "judge":
        yield verdict_sentence(config, judged)
    elif makes_inputs(config):
        yield "Nobody curated or corrected rows by hand."
    if copies := result["counts"].get("demonstration_copies", 0):
        yield f"{count(copies, 'copy')} of demonstrations were trained on along with the rows."


def _student(config: RunConfig, result: Mapping[str, Any], task: TaskSpec) -> str:
    """What was trained on the rows."""
    method = config.method
    if isinstance(method, SelfICLConfig):
        return "Nothing was finetuned: the prompt shows the self-made pairs."
    if method.kind in ("few_shot_icl", "zero_shot", "gepa"):
        return "Nothing was finetuned."
    if result["status"] == "empty_dataset":
        return "Nothing was finetuned: no row was left to train on."
    if config.student.kind == "encoder_qa":
        return "An encoder that marks the answer in the passage was trained on the rows."
    if config.student.kind == "encoder":
        return "An encoder with a classifier was trained on the rows."
    if config.finetuning.kind == "none":
        return "Nothing was finetuned."
    shown = count(len(task.demonstrations), "demonstration") if task.demonstrations else "nothing else"
    kind = {"lora": "with LoRA"}.get(config.finetuning.kind, "in full")
    by = "" if config.finetuning.objective == "sft" else f" {preferred(config)}"
    model = f"The model {config.model.name} was finetuned {kind} on the rows"
    return f"{model}, prompted with the instruction and {shown}.{by}"
