"""Finetuning on the demonstrations alone: what the same training gives without synthetic data.

Each demonstration is a training row whose context holds the others, so that the answer is not in
its own prompt.
"""

from selfguide.methods.outcome import Outcome
from selfguide.session import Session
from selfguide.stages import training_stage


def run(session: Session) -> Outcome:
    """Finetune on `finetuning.demonstration_copies` copies of each demonstration."""
    demonstrations = session.task.demonstrations
    finetuning = session.config.finetuning
    if finetuning.kind == "none":
        return Outcome(pairs=demonstrations)
    pairs = demonstrations * finetuning.demonstration_copies
    trained = training_stage(session, "few_shot_finetune", pairs, leave_one_out=True)
    return Outcome(weights=trained.epochs[finetuning.epochs - 1], pairs=demonstrations)
