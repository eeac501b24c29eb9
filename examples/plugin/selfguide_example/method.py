"""A method: SELF-GUIDE's data, but shown in the prompt instead of trained on."""

from selfguide.methods.result import MethodResult
from selfguide.models.session import Session
from selfguide.synthesis.stages import annotate_inputs, compose_dataset, propose_inputs
from selfguide_example.entries import SelfPromptConfig


def run(session: Session) -> MethodResult:
    """The first `shown` pairs stand behind the demonstrations."""
    config = session.config.method
    assert isinstance(config, SelfPromptConfig)
    proposed = propose_inputs(session).value
    data = compose_dataset(session, annotate_inputs(session, proposed).value)
    shown = data.pairs[: config.shown]
    return MethodResult(
        status="ok" if shown else "empty_dataset",
        candidates=data.candidates,
        pairs=data.pairs,
        demonstrations=(*session.task.demonstrations, *shown),
    )
