"""Zero-shot prompting (arXiv 2005.14165, section 2): the base model and the instruction, nothing else.

What differs: the prompt is that of the finetuned models, less the demonstrations.
"""

from selfguide.methods.result import MethodResult
from selfguide.models.session import Session


def run(session: Session) -> MethodResult:
    """Nothing to make: the base model is asked without demonstrations."""
    return MethodResult(demonstrations=())
