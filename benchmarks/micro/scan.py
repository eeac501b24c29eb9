"""`python -m benchmarks.micro.scan`: is any pair of the benchmark in the corpus that the bundled model was trained on?

Draws every episode of the recipe again (minutes) and writes what it found to `experiments/micro/scan.json`.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.micro.corpus import draw_rows
from benchmarks.micro.make_tasks import FOLDER
from benchmarks.micro.settings import Pretraining, recipe
from benchmarks.micro.tokenizer import label_pieces
from benchmarks.micro.training import mixture_at
from selfguide.core.console import Terminal
from selfguide.core.paths import RESOURCES

MODEL = RESOURCES / "micro" / "model"
# How an episode shows a pair: answered, or written for a label.
ANSWERED = re.compile(r"^Input: (.*)\nOutput: (.*)$", re.MULTILINE)
WRITTEN = re.compile(r"^Output: (.*)\nInput: (.*)$", re.MULTILINE)


@dataclass
class Scan:
    """What was read, and the benchmark's instructions, pairs and label sets that stood there, by task."""

    tasks: str
    batches: int = 0
    episodes: int = 0
    pairs: int = 0
    instructions: dict[str, int] = field(default_factory=dict)
    found: dict[str, list[list[str]]] = field(default_factory=dict)


def scan(config: Pretraining, tokenizer: Any, files: Sequence[Path], every: int = 1) -> Iterator[Scan]:
    """Every `every`-th batch of the recipe searched for what the task files hold; the same figures, growing."""
    done = Scan(tasks=digest(files))
    instructions: dict[str, str] = {}
    known: dict[tuple[str, str], str] = {}
    for path in files:
        content = json.loads(path.read_text(encoding="utf-8"))
        instructions[content["Definition"][0]] = path.stem
        rows = [(row["input"], row["output"][0]) for row in content["Instances"]]
        rows += [(row["input"], row["output"]) for row in content["Positive Examples"]]
        known |= dict.fromkeys(rows, path.stem)
    pieces = label_pieces(tokenizer)
    for index in range(0, batches(config), every):
        mixture = mixture_at(config, index * config.batch_tokens / 1e6)
        _, rows_of_batch = draw_rows(tokenizer, config.seed, index, config.batch_tokens, mixture, pieces)
        for episode, _, _ in (drawn for row in rows_of_batch for drawn in row):
            shown = ANSWERED.findall(episode.text)
            shown += [(text, output) for output, text in WRITTEN.findall(episode.text)]
            for pair in shown:
                if pair in known and list(pair) not in done.found.setdefault(known[pair], []):
                    done.found[known[pair]].append(list(pair))
            asked = episode.text.split("\n", 1)[0].removeprefix("Task: ").split(" Labels:")[0]
            if asked in instructions:
                done.instructions[instructions[asked]] = done.instructions.get(instructions[asked], 0) + 1
            done.episodes += 1
            done.pairs += len(shown)
        done.batches += 1
        yield done


def batches(config: Pretraining) -> int:
    """How many batches the recipe has."""
    return int(config.tokens * 1e6 / config.batch_tokens)


def digest(files: Sequence[Path]) -> str:
    """Of what was searched for: the task files without their grammar, which holds no pair."""
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    for content in contents:
        content.pop("Valid Input", None)
    texts = [json.dumps(content, ensure_ascii=False, indent=1) + "\n" for content in contents]
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def main() -> None:
    """Command line."""
    from tokenizers import Tokenizer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=Path, default=FOLDER, help="folder of task files")
    parser.add_argument("--every", type=int, default=1, help="every so many-th batch alone")
    parser.add_argument("--output", type=Path, default=Path("experiments/micro/scan.json"), help="where to write")
    arguments = parser.parse_args()
    config, files = recipe(), sorted(arguments.tasks.glob("*.json"))
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    done = None
    with Terminal().bar("corpus", len(range(0, batches(config), arguments.every)), "batches") as bar:
        for done in scan(config, tokenizer, files, arguments.every):
            bar.advance(1, found=sum(map(len, done.found.values())))
    assert done is not None
    arguments.output.write_text(json.dumps(asdict(done), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for task, pairs in sorted(done.found.items()):
        print(f"{task}: {len(pairs)} pairs stand in the corpus, e.g. {pairs[0]}", file=sys.stderr)
    sys.exit(1 if any(done.found.values()) or done.instructions else 0)


if __name__ == "__main__":
    main()
