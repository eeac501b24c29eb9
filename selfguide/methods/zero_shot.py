"""Zero-shot prompting: the instruction alone. The demonstrations do not stand in the prompt."""

from selfguide.methods.outcome import Outcome
from selfguide.models.session import Session


def run(session: Session) -> Outcome:
    """Nothing to make: the base model is asked without demonstrations."""
    return Outcome(demonstrations=())
