"""Finetuning on gold instances of the gold pool: the ceiling, as ZeroGen's supervised row (arXiv 2202.07922).

What differs: gold comes from the validation split without what is scored (there: the train split), at most `rows`, so
that as many gold rows as synthetic ones can be compared; the student is the language model unless `student=` says
otherwise.
"""

from selfguide.config.methods import GoldFinetuneConfig
from selfguide.methods.result import MethodResult
from selfguide.methods.student import train_student, trains
from selfguide.models.session import Session
from selfguide.synthesis.sampling import spread_over_labels


def run(session: Session) -> MethodResult:
    """Finetune on at most `method.rows` gold pairs, drawn evenly over the labels."""
    config = session.config.method
    assert isinstance(config, GoldFinetuneConfig)
    labels, seed = session.task.labels, session.config.seed
    pairs = spread_over_labels(session.gold_pool, labels, config.rows, seed, "gold_finetune")
    made = MethodResult(pairs=pairs)
    if not trains(session):
        return made
    return train_student(session, pairs, given=pairs).answers_for(made, session.config.finetuning.epochs)
