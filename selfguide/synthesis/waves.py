"""The loop's schedule: requests go out in waves, one whose item was dropped several times.

A killed run goes on after the last batch that reached the disk.
"""

from collections.abc import Sequence
from dataclasses import replace

from selfguide.config.loop import ProposeConfig
from selfguide.core.types import Example
from selfguide.prompts.neighbours import JointPrompt
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.generator import Generator
from selfguide.synthesis.proposals import ProposalRequest

MAX_JOINT_ITEMS = 10  # items a growing joint prompt asks for


def propose_in_waves(
    generator: Generator,
    requests: Sequence[ProposalRequest],
    config: ProposeConfig,
    budget: CallBudget,
    calls_per_kept: int = 0,
) -> list[Candidate]:
    """All candidates, kept and dropped, in the order they were judged.

    `calls_per_kept` are calls that a kept item's outputs will take: of the budget, so many are left for each.
    """
    kept: dict[str, list[Candidate]] = {request.id: [] for request in requests}
    for attempt in range(config.attempts):
        waiting = [request for request in requests if len(kept[request.id]) < request.count]
        while waiting and (payable := budget.items(1 + calls_per_kept)) != 0:
            size = config.batch if payable is None else min(config.batch, payable)
            sent, waiting = waiting[:size], waiting[size:]
            batch = generator.propose(
                _attempted(generator, request, config, attempt, kept[request.id]) for request in sent
            )
            calls = batch.calls
            for request, candidates in zip(sent, batch.candidates, strict=True):
                accepted = [candidate for candidate in candidates if candidate.dropped is None]
                kept[request.id] += accepted
                calls += calls_per_kept * len(accepted)
            budget = budget.less(calls, batch.generated)
    return generator.candidates


def _attempted(
    generator: Generator, request: ProposalRequest, config: ProposeConfig, attempt: int, kept: Sequence[Candidate]
) -> ProposalRequest:
    """The request as this attempt sends it, with as much of its prompt left out as the context demands.

    A joint one asks for what is missing or, growing, for more; odd attempts show what was kept.
    """
    prompt = request.prompt
    if isinstance(prompt, JointPrompt):
        missing = request.count - len(kept)
        count = min(request.count + attempt, MAX_JOINT_ITEMS) if config.grow else missing
        shown = tuple(Example(c.input, c.output or "") for c in kept) if attempt % 2 else ()
        prompt = replace(prompt, count=count, kept=shown)
    request = replace(request, id=f"{request.id}-{attempt}", stream=(request.round, request.id, attempt))
    model = generator.model
    limit = model.engine.context_length - min(generator.sampling.max_new_tokens, model.engine.context_length // 4)
    while True:
        rendered = model.render(prompt)
        if rendered.size <= limit:
            return replace(request, prompt=prompt, rendered=rendered)
        if (shorter := prompt.shorter()) is None:
            return request
        prompt = shorter
