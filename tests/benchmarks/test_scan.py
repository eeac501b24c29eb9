"""The benchmark is not in the corpus of the bundled model: its very recipe, drawn again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from benchmarks.micro.corpus import draw_rows
from benchmarks.micro.make_tasks import FOLDER
from benchmarks.micro.scan import ANSWERED, MODEL, Scan, batches, digest, scan
from benchmarks.micro.settings import Pretraining, recipe
from benchmarks.micro.tokenizer import label_pieces
from benchmarks.micro.training import mixture_at

FILES = sorted(FOLDER.glob("*.json"))
RECORD = Path(__file__).parents[2] / "experiments" / "micro" / "scan.json"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(MODEL / "tokenizer.json"))


def last(steps: Iterator[Scan]) -> Scan:
    *_, done = steps
    return done


def test_no_part_of_the_recipe_shows_the_benchmark(tokenizer: Tokenizer) -> None:
    done = last(scan(recipe(), tokenizer, FILES, every=180))
    assert (done.found, done.instructions) == ({}, {})
    assert done.batches == 41 and done.pairs > 10_000


def test_the_whole_recipe_was_searched_for_these_very_files() -> None:
    record = json.loads(RECORD.read_text())
    assert (record["found"], record["instructions"]) == ({}, {})
    assert record["batches"] == batches(recipe())
    assert record["tasks"] == digest(FILES), "run python -m benchmarks.micro.scan again"


def test_a_pair_that_is_there_is_found(tokenizer: Tokenizer, tmp_path: Path) -> None:
    config: Pretraining = recipe("tokens=0.02")
    pieces = label_pieces(tokenizer)
    _, rows = draw_rows(tokenizer, config.seed, 2, config.batch_tokens, mixture_at(config, 0.01), pieces)
    text, output = next(pair for row in rows for one in row for pair in ANSWERED.findall(one[0].text))
    content = {"Definition": ["?"], "Positive Examples": [], "Instances": [{"input": text, "output": [output]}]}
    (tmp_path / "planted.json").write_text(json.dumps(content))
    done = last(scan(config, tokenizer, [tmp_path / "planted.json"]))
    assert done.found == {"planted": [[text, output]]}
