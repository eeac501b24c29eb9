"""Seed, plan, propose, annotate, filter, compose, train, diagnose, again: ZeroGen to LLM2LLM."""

from selfguide.methods.outcome import Outcome
from selfguide.session import Session


def run(session: Session) -> Outcome:
    """The loop that `method` configures."""
    raise NotImplementedError
