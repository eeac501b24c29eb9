"""What a run's result says of its stages."""

from pathlib import Path

from selfguide.models.session import RunLog
from selfguide.store import StoredStage


def stage(key: str, hit: bool) -> StoredStage:
    return StoredStage("training", key, Path(key), hit, 1.0, {})


def test_a_stage_seen_again_stays_as_this_run_first_saw_it() -> None:
    log = RunLog()
    log.add("annotator", stage("a", hit=False))
    log.add("annotator", stage("a", hit=True))
    assert not log.stages["annotator"].hit


def test_a_role_is_the_newest_stages_and_one_stage_may_have_two() -> None:
    log = RunLog()
    for name, key in (("dataset", "a"), ("training_0", "b"), ("dataset", "c"), ("training", "b")):
        log.add(name, stage(key, hit=False))
    assert {name: entry.key for name, entry in log.stages.items()} == {
        "dataset": "c",
        "training_0": "b",
        "training": "b",
    }
