"""Few-shot in-context learning (arXiv 2005.14165, section 2): the base model and the demonstrations, nothing else.

What differs: the prompt is that of the finetuned models, so that a gain over it is the training's.
"""

from selfguide.methods.result import MethodResult
from selfguide.models.session import Session


def run(session: Session) -> MethodResult:
    """Nothing to make: the baseline is the method."""
    return MethodResult()
