"""The sentences about a run of the loop (ZeroGen to LLM2LLM): its steps decide them, not its name."""

from collections.abc import Iterator

from selfguide.analysis.sentences import count, vote_of_requested_label, voted_outputs, writer
from selfguide.config.loop import LoopConfig
from selfguide.config.schema import RunConfig
from selfguide.core.types import TaskSpec


def loop_inputs(config: RunConfig, task: TaskSpec) -> str:
    """Who wrote the inputs of the seed data, and of what the rounds added."""
    return " ".join(sentence for sentence in (_seed(config, task), _rounds(config)) if sentence)


def loop_outputs(config: RunConfig, task: TaskSpec) -> str:
    """Where the outputs come from."""
    method, by_vote = _method(config), voted_outputs(config, task)
    seed, source = method.initial_data.source, method.annotate.source
    if not _proposes(method):
        return by_vote if seed == "selfguide" else ""
    told = {
        "vote": by_vote,
        "joint": f"{writer(config)} wrote input and output in one reply; nobody voted.",
        "inherit": _inherited(task, by_vote),
    }[source]
    if seed != "selfguide" or source == "vote":
        return told
    return f"Seed data: {by_vote} Rows of the rounds: {told}"


def loop_requested_label(config: RunConfig, task: TaskSpec) -> str:
    """What the label that an input was written for is to its output."""
    method = _method(config)
    seed, source = method.initial_data.source, method.annotate.source
    if not task.is_classification:
        return ""
    if seed == "selfguide":
        return vote_of_requested_label(config.annotation, config.generation.label_conditioning and not task.inputs)
    if source == "vote" and _proposes(method):
        return vote_of_requested_label(config.annotation, True)
    return ""


def loop_votes(method: LoopConfig, task: TaskSpec) -> bool:
    """Whether outputs of the loop's own proposals are voted on; those without a label to inherit always are."""
    source = method.annotate.source
    return _proposes(method) and (source == "vote" or (source == "inherit" and not task.is_classification))


def loop_gold(method: LoopConfig) -> list[str]:
    """What the gold pool, or the run that rows were taken from, was used for."""
    return list(_uses_of_gold(method))


def _uses_of_gold(method: LoopConfig) -> Iterator[str]:
    seed, diagnose = method.initial_data, method.diagnose
    if seed.source == "gold":
        yield "the seed rows are gold instances with their labels"
        if diagnose.source == "initial" and method.loop.rounds != 0:
            yield "prompts show those that the student gets wrong"
    if method.attributes.kind == "conditions" and method.attributes.source == "gold":
        yield "new inputs are conditioned on inputs of gold instances, without their labels"
    if diagnose.source == "gold" and method.loop.rounds != 0:
        chosen = "those that the student gets wrong" if diagnose.select == "wrong" else "them, right or wrong,"
        yield f"the student is tested on the gold pool, and prompts show {chosen} with their labels"
    if seed.extra_rows is not None:
        yield "gold may be behind the rows from elsewhere"


def _seed(config: RunConfig, task: TaskSpec) -> str:
    method, shown = _method(config), count(len(task.demonstrations), "demonstration")
    initial, attributes = method.initial_data, method.attributes
    taken = " The seed data includes rows from elsewhere (another run, or a file)." if initial.extra_rows else ""
    if initial.source == "gold":
        return f"The seed rows are gold instances.{taken}"
    if initial.source == "demonstrations":
        return f"The seed rows are the {shown}.{taken}"
    if initial.source == "selfguide":
        conditioned = task.is_classification and config.generation.label_conditioning
        each = ", each for a label drawn at random" if conditioned else ""
        if task.inputs:
            return f"The inputs of the seed data were given, without outputs.{taken}"
        return f"{writer(config)} wrote the inputs of the seed data from the instruction and {shown}{each}.{taken}"
    given = ["the instruction"]
    if method.propose.show_demonstrations:
        given.append(f"the {shown}")
    if attributes.kind == "rationales" and task.labels:
        given.append("reasons for each label that it had given before")
    if attributes.kind == "conditions":
        origin = {"gold": "gold inputs", "demonstrations": "the demonstrations"}
        given.append(
            f"conditions from {origin[attributes.source]}"
            if attributes.source in origin
            else "conditions that it wrote before"
        )
    if method.propose.show_demonstrations and config.generation.neighbours.show_demonstrations:
        taken = f" The published prompts show no demonstrations: the preset of {config.model.name} adds them.{taken}"
    each = ", each for a label" if task.is_classification and method.annotate.source != "joint" else ""
    return f"{writer(config)} wrote the seed data from {_listed(given)}{each}.{taken}"


def _rounds(config: RunConfig) -> str:
    method = _method(config)
    diagnose, rounds = method.diagnose, method.loop.rounds
    if rounds == 0 or diagnose.source == "none":
        return ""
    if diagnose.source == "influence":
        return "Later prompts show synthetic examples that helped the student on other synthetic rows."
    like = {
        "gold": "gold instances",
        "initial": "rows",
        "votes": "inputs whose samples disagree",
    }[diagnose.source]
    if diagnose.source != "votes":
        like += " that the student gets wrong" if diagnose.select == "wrong" else ", right or wrong"
    most = "" if rounds is None else f" in up to {count(rounds, 'round')}"
    return f"More inputs were written{most}, each like one of the {like}."


def _inherited(task: TaskSpec, by_vote: str) -> str:
    if task.is_classification:
        return "The label that an input was written for is its output; nobody voted."
    if task.context_until is None:
        return by_vote
    return f"An answer that occurs in the kept passage is the output of its input. Otherwise: {by_vote}"


def _proposes(method: LoopConfig) -> bool:
    """Whether the loop's own proposals are among the data."""
    return method.initial_data.source == "generated" or (method.loop.rounds != 0 and method.diagnose.source != "none")


def _method(config: RunConfig) -> LoopConfig:
    assert isinstance(config.method, LoopConfig)
    return config.method


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
