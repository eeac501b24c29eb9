"""From a method's pairs to its student: what every method that trains does in the same way."""

from collections.abc import Sequence

from selfguide.engines.base import Weights
from selfguide.session import Session
from selfguide.stages import training_stage
from selfguide.types import Example


def train_student(session: Session, pairs: Sequence[Example], name: str = "training") -> tuple[Weights, ...]:
    """The weights after each epoch of finetuning on `pairs` and `finetuning.added_demonstrations` copies of each demonstration.

    A demonstration's row holds the others alone in its context, so that the answer is not in its own prompt.
    """
    finetuning = session.config.finetuning
    added = session.task.demonstrations * finetuning.added_demonstrations
    return training_stage(session, name, (*pairs, *added), leave_one_out=bool(added)).epochs
