"""Parts of the sentences about a run: the model that writes, the vote, the weight of the label asked for."""

from collections.abc import Mapping
from typing import Any

from selfguide.config.methods import RestConfig
from selfguide.config.schema import AnnotationConfig, RunConfig
from selfguide.core.types import TaskSpec


def count(number: int, noun: str) -> str:
    """`1 row`, `3 rows`, `3 copies`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def share(value: float) -> str:
    """0.2 as `20 %`."""
    return f"{100 * value:g} %"


def writer(config: RunConfig) -> str:
    """The model that makes the data, at the start of a sentence."""
    teacher = config.teacher
    if teacher.kind == "self" or teacher.model is None:
        return "The base model"
    return "Another model, the teacher,"


def annotator(config: RunConfig, task: TaskSpec) -> str:
    """The model that answers the inputs, at the start of a sentence."""
    shown = count(len(task.demonstrations), "demonstration")
    if config.annotation.annotator == "few_shot_finetuned" and config.finetuning.kind != "none":
        return f"The base model finetuned on the {shown} alone"
    return f"{writer(config)} prompted with the {shown}"


def voted_outputs(config: RunConfig, task: TaskSpec) -> str:
    """Who answered the inputs, and how the answers elect the output."""
    annotation = config.annotation
    answered = f"{annotator(config, task)} answered each input {count(annotation.best_of, 'time')}"
    if annotation.samples == 1:
        return f"{answered}; the most likely answer is the output."
    voters = "the answers" if annotation.best_of == annotation.samples else f"the {annotation.samples} most likely"
    whole = "votes asked for" if annotation.share_of == "requested" else "votes that passed the filters"
    return (
        f"{answered}; {voters} vote, and the answer with the most votes is the output. An input whose output has less "
        f"than {share(annotation.min_share)} of the {whole} was dropped."
    )


def accepted_outputs(config: RunConfig, method: RestConfig, task: TaskSpec) -> str:
    """Who answered the inputs in each round of ReST or STaR, and which answers are trained on."""
    rounds = f" From round 2 to {method.rounds} the model trained in the round before answered." * (method.rounds > 1)
    few = "" if task.is_classification else f", at most {method.per_input} for an input,"
    if method.accept == "vote":
        return f"{voted_outputs(config, task)} The model is trained on all answers that agree with it{few}.{rounds}"
    asked = f"{annotator(config, task)} gave {count(config.annotation.best_of, 'answer')} to each input"
    hint = "; an input without one was asked again with its gold answer as a hint" if method.rationalize else ""
    return f"{asked}; the model is trained on the right ones{few}{hint}.{rounds}"


def preferred(config: RunConfig) -> str:
    """How winners of the vote were preferred to its losers, beside or instead of training on the rows."""
    by, when = (
        config.finetuning.objective.upper(),
        "After that" if config.finetuning.preference.after_sft else "Instead of that",
    )
    return f"{when} {by} trained it to prefer winners of the vote to its losers."


def verdict_sentence(config: RunConfig, judged: Mapping[str, Any]) -> str:
    """What a judge dropped, by which threshold, and how its ratings stand to the votes; `judged` is of the result."""
    did = "corrected or dropped" if config.curation.correct else "dropped"
    told, agreed = judged["demonstrations"], judged["agreement"]
    chosen = "" if told is None else f", which tells right from wrong demonstrations with an accuracy of {told:.0%}"
    if config.curation.min_confidence is not None:
        chosen = ", which was set"
    voted = "Of two rows with different vote shares it rated the one with the larger share higher in"
    vote = "" if agreed is None else f" {voted} {agreed:.0%} of the cases (chance: 50%)."
    return (
        f"{writer(config)} rated each row as a judge; {judged['rejected']} of {count(judged['rated'], 'row')} below "
        f"the threshold {judged['threshold']:.2g}{chosen}, were {did}.{vote}"
    )


def vote_of_requested_label(annotation: AnnotationConfig, conditioned: bool) -> str:
    """Whether the label that an input was written for takes part in the vote."""
    weight, samples = annotation.conditioning_label_weight, annotation.samples
    if not conditioned:
        return "No input was written for a label."
    if weight == 0:
        return "The label that an input was written for has no vote: the samples alone decide."
    votes = (
        f"The label that an input was written for counts as {count(weight, 'vote')} beside {count(samples, 'sample')}"
    )
    if weight > samples:
        return f"{votes}: if any sample passed the filters, this label is the output, whatever the samples say."
    return f"{votes}."
