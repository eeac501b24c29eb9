"""Few-shot in-context learning: the base model and the demonstrations, nothing else."""

from selfguide.methods.outcome import Outcome
from selfguide.models.session import Session


def run(session: Session) -> Outcome:
    """Nothing to make: the baseline is the method."""
    return Outcome()
