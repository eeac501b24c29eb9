"""Few-shot in-context learning: the base model and the demonstrations, nothing else."""

from selfguide.methods.result import MethodResult
from selfguide.models.session import Session


def run(session: Session) -> MethodResult:
    """Nothing to make: the baseline is the method."""
    return MethodResult()
