"""Content-addressed stages: finished work is found again, half-finished work goes on."""

from selfguide.store.cache import Store, StoredStage, fingerprint
from selfguide.store.journal import Journal, journal_tokens
from selfguide.store.stage import NOT_KEYED, Finished, Stage, Workspace, keyed, run_stage

__all__ = [
    "NOT_KEYED",
    "Finished",
    "Journal",
    "Stage",
    "Store",
    "StoredStage",
    "Workspace",
    "fingerprint",
    "journal_tokens",
    "keyed",
    "run_stage",
]
