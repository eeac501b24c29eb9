"""Self-ICL (arXiv 2305.15035): self-made pairs as demonstrations; the model that answers is not finetuned.

`fill_context` is the SELF-GUIDE paper's baseline (arXiv 2407.12874): SELF-GUIDE's own data stand in the prompt, as many
as fit, so that data and training are told apart. `test_conditioned` is the original: for each test input the model
writes new inputs like it, answers them zero-shot, and answers the test input with them in context. What differs from
it: labels come from the task, copies are dropped, and by default each new input takes a call of its own, as small
models never get to a second one in a reply (`conf/method/self_icl.yaml` has the rest).
"""

from collections.abc import Sequence

from selfguide.config.methods import SelfICLConfig
from selfguide.core.seeding import child_random
from selfguide.core.types import Example
from selfguide.methods.curation import curate
from selfguide.methods.result import MethodResult
from selfguide.methods.selfguide import synthesize
from selfguide.methods.student import corrected_result
from selfguide.models.session import Session
from selfguide.prompts.selfguide import answer_prompt
from selfguide.synthesis.dataset import marked
from selfguide.synthesis.inspect import warnings_about
from selfguide.synthesis.sampling import in_turn


def run(session: Session) -> MethodResult:
    """Other demonstrations, or a predictor that makes them for each input."""
    config = session.config.method
    assert isinstance(config, SelfICLConfig)
    if config.variant == "test_conditioned":
        from selfguide.methods.self_icl_stream import SelfICLPredictor

        return MethodResult(predictor=SelfICLPredictor(session))
    pairs, candidates = synthesize(session)
    warnings = tuple(warnings_about(session.task, candidates, pairs))
    kept, corrected, verdicts = curate(session, pairs, "self_icl_curation")
    judged = {} if verdicts is None else {"judge": verdicts.report(candidates)}
    candidates = corrected_result(MethodResult(candidates=candidates), corrected).candidates
    left = marked(candidates, kept, lambda _: "curated")
    if not kept:
        more = ("curation left no pair to show; the base model's score stands for the method",) if pairs else ()
        return MethodResult(status="empty_dataset", candidates=left, warnings=(*warnings, *more))
    shown = fill_context(session, kept)
    synthetic = shown[len(session.task.demonstrations) if config.keep_demonstrations else 0 :]
    return MethodResult(
        demonstrations=shown,
        candidates=marked(left, synthetic, lambda _: "not_shown"),
        pairs=synthetic,
        warnings=warnings,
        diagnostics={"pairs_made": len(pairs), "pairs_shown": len(shown), **judged},
    )


def fill_context(session: Session, pairs: Sequence[Example]) -> tuple[Example, ...]:
    """The task's demonstrations (if kept) and, after them, pairs in seeded order as long as they fit.

    A share of the context stays free for the input and its answer, of which neither is known yet.
    """
    config = session.config.method
    assert isinstance(config, SelfICLConfig)
    limit = session.context_length - session.config.evaluation.max_new_tokens
    limit -= round(config.reserve * session.context_length)
    shown = list(session.task.demonstrations) if config.keep_demonstrations else []
    order = child_random(session.config.seed, "self_icl", "order").sample(list(pairs), len(pairs))
    if config.balance_labels and session.task.is_classification:
        order = in_turn([pair for pair in order if pair.output == label] for label in session.task.labels)
    for pair in order[: config.max_demonstrations]:
        if session.student.render(answer_prompt(session.task, "", [*shown, pair])).size > limit:
            break
        shown.append(pair)
    return tuple(shown)
