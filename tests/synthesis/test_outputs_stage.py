"""The outputs stage: what it finds in the store, and what it shows of a run that goes on."""

import io
from pathlib import Path

from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.stages import annotate_inputs, compose_dataset
from selfguide.tasks.load import load_task
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

ASKED = [Candidate(f"0-{place}", 0, f"Tom saw the red {thing}.") for place, thing in enumerate(("cup", "fox", "van"))]


class Stopping(ScriptedEngine):
    """Is interrupted in its second call."""

    def generate(self, requests, progress=None):  # type: ignore[no-untyped-def]
        if self.batches:
            raise KeyboardInterrupt
        return super().generate(requests, progress)


def session_of(folder: Path, engine: type[ScriptedEngine] = ScriptedEngine) -> tuple[Session, io.StringIO]:
    config = run_config(*smoke(write_task(folder), folder / "store", "annotation.batch=1"))
    task, _ = load_task(config.task, config.data, config.seed)
    said = io.StringIO()
    scripted = engine(lambda ids: "", lambda prompt, seed, sample: "red")
    return Session(config, task, Terminal(Console(file=said, width=200)), engine=scripted), said


def test_the_dropped_stay_those_of_the_caller(tmp_path: Path) -> None:
    reasons = []
    for reason in ("noise", "too_long"):
        session, _ = session_of(tmp_path)
        dropped = Candidate("0-9", 0, f"an input dropped for {reason}", dropped=reason)
        annotated = annotate_inputs(session, [*ASKED, dropped])
        assert [len(candidate.samples) for candidate in annotated.value] == [4, 4, 4, 0]
        assert annotated.value[-1] == dropped
        assert compose_dataset(session, annotated.value).candidates[-1] == dropped
        reasons.append(annotated.key)
    assert reasons[0] == reasons[1], "the second run found what the first one had asked"


def test_what_an_earlier_run_finished_is_counted_once(tmp_path: Path) -> None:
    session, _ = session_of(tmp_path, Stopping)
    try:
        annotate_inputs(session, ASKED)
        raise AssertionError("it was not stopped")
    except KeyboardInterrupt:
        pass
    session, said = session_of(tmp_path)
    annotate_inputs(session, ASKED)
    assert "outputs: 3/3 inputs" in said.getvalue()
