"""Zero-shot prompting: the instruction alone. The demonstrations do not stand in the prompt."""

from selfguide.methods.result import MethodResult
from selfguide.models.session import Session


def run(session: Session) -> MethodResult:
    """Nothing to make: the base model is asked without demonstrations."""
    return MethodResult(demonstrations=())
