"""The run report as a file: size, escaping, budgets, and what it refuses."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from selfguide.analysis.details import config_of
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import render_report, write_report
from selfguide.analysis.payload import embedded, fitted
from selfguide.core.errors import DataError
from selfguide.core.masking import masked
from tests.analysis.folders import write_run

MAX_BYTES = 5_000_000


def test_a_thousand_long_candidates_stay_below_five_megabytes(tmp_path: Path) -> None:
    hostile = "<&>" * 700  # each character takes six bytes in the page
    folder = write_run(
        tmp_path / "run", classification=False, proposals=1000, instances=400, words=120, texts=[hostile, "plain"]
    )
    page = (folder / "report.html").read_bytes()
    assert len(page) < MAX_BYTES
    assert b"texts are cut at" in page


@pytest.mark.parametrize(
    ("overrides", "used"),
    [
        (["method=selfguide"], "trained on"),
        (["method=self_icl"], "shown as demonstrations"),
        (["method=selfguide", "finetuning=none"], "kept"),
    ],
)
def test_the_page_says_what_the_pairs_were_used_for(overrides: list[str], used: str, tmp_path: Path) -> None:
    page = (write_run(tmp_path / "run", *overrides, proposals=40, instances=8) / "report.html").read_text()
    assert f"pairs {used}</span>" in page
    assert f"that were {used}." in page
    assert f'"used":"{used}"' in page
    assert ("trained on" in page) == (used == "trained on")


def test_many_instances_fit_and_differing_ones_come_first(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", proposals=60, instances=4000)
    page = (folder / "report.html").read_text()
    assert len(page.encode()) < MAX_BYTES
    cases = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])["cases"]  # type: ignore[index]
    kinds = [case["k"] for case in cases]
    assert kinds == sorted(kinds, key=["better", "worse", "wording", "wrong", "same"].index)
    assert all(case["n"] for case in cases if case["s"][1] < 1)


def test_fitted_cuts_texts_before_rows() -> None:
    rows = [{"x": "a" * 5000}] * 10

    def cut(row: dict[str, str], limit: int) -> dict[str, str]:
        return {"x": row["x"][:limit]}

    whole, limit = fitted(rows[:1], 10_000, cut)
    assert (len(whole), limit) == (1, 4000)
    short, limit = fitted(rows, 10_000, cut)
    assert (len(short), limit) == (10, 600)
    few, limit = fitted(rows, 500, cut)
    assert (len(few), limit) == (4, 100)
    assert fitted([{"x": "a"}], 100, cut) == ([{"x": "a"}], None)


@pytest.mark.parametrize("text", ["</script>", "<!--", "&lt;", "\u2028\u2029", "\x00", "\ud800", "'\"\\"])
def test_embedded_json_has_no_markup_and_reads_back(text: str) -> None:
    said = embedded({"text": text})
    assert not set(said) & set("<>&\u2028\u2029")
    assert json.loads(said)["text"] == text.encode("utf-8", "replace").decode()


def test_the_page_is_made_again_from_the_folder_alone(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", proposals=60, instances=20)
    first = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    assert write_report(moved).read_text() == first


def test_a_folder_without_a_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished run there"):
        RunFolder.open(tmp_path)


def test_the_configuration_comes_back_typed(tmp_path: Path) -> None:
    changed = ("model.name=elsewhere", "evaluation.limit=7", "finetuning.rank=3", "engine.batch_tokens=512")
    folder = write_run(tmp_path / "run", *changed, proposals=20, instances=10)
    run = RunFolder.open(folder)
    assert (run.config.model.name, run.config.finetuning.rank) == ("elsewhere", 3)
    assert dataclasses.asdict(run.config) == run.details["config"]
    assert run.config.annotation.samples == run.details["config"]["annotation"]["samples"]
    assert type(run.config.engine).__name__ == "HFEngineConfig"
    saved = run.details["config"]
    saved["knob_of_the_past"] = saved["evaluation"]["knob_of_the_past"] = saved["engine"]["knob_of_the_past"] = 1
    del saved["tracking"], saved["evaluation"]["controls"], saved["engine"]["batch_tokens"]
    again = config_of(run.details)
    assert (again.evaluation.limit, again.seed) == (run.config.evaluation.limit, run.config.seed)
    assert (again.evaluation.controls, again.tracking.kind) == (True, "none")


def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sesame-open-up")
    value = {
        "api_key": "abc", "hf_token": "abc", "max_new_tokens": 500, "api_key_env": "SOME_API_KEY",
        "url": "https://user:pass@host/x", "inner": [{"note": "Bearer sesame-open-up"}],
    }  # fmt: skip
    assert masked(value) == {
        "api_key": "***", "hf_token": "***", "max_new_tokens": 500, "api_key_env": "SOME_API_KEY",
        "url": "https://***@host/x", "inner": [{"note": "Bearer ***"}],
    }  # fmt: skip
    # Short secrets may stand in a configuration by chance: composing does not refuse them, and they are masked.
    monkeypatch.setenv("SOME_API_KEY", "open-sesame")
    folder = write_run(tmp_path / "run", "store.root=/tmp/open-sesame", proposals=20, instances=10)
    assert "open-sesame" not in (folder / "report.html").read_text() + (folder / "details.json").read_text()


def test_render_needs_details(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", proposals=20, instances=10)
    (folder / "details.json").unlink()
    with pytest.raises(DataError, match=r"details\.json"):
        render_report(RunFolder.open(folder))
