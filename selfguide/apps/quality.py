"""`selfguide quality RUN`: how an error and what was extrapolated from it differ (S3's quality study).

High cosine with an edit distance near the texts' length: the same kind of text, not a copy. Copies show as a
distance near 0.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from rapidfuzz.distance import Levenshtein

from selfguide.config.command import fail
from selfguide.core.errors import ConfigError, DataError, SelfguideError
from selfguide.core.files import json_text, read_jsonl

Embed = Callable[[Sequence[str]], list[list[float]]]
ENCODER = "distilbert/distilbert-base-uncased"


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the pairs (error, extrapolation); lengths and distances in characters."""

    pairs: int
    cosine: float
    edit_distance: float
    error_length: float
    extrapolation_length: float
    copies: int


def quality(pairs: Sequence[tuple[str, str]], embed: Embed) -> Quality:
    """The figures of some pairs. Raises DataError without any."""
    if not pairs:
        raise DataError("no synthetic text was extrapolated from another in this run (method=s3, goldgen, llm2llm …)")
    first, second = embed([error for error, _ in pairs]), embed([made for _, made in pairs])
    return Quality(
        pairs=len(pairs),
        cosine=fmean(_cosine(a, b) for a, b in zip(first, second, strict=True)),
        edit_distance=fmean(Levenshtein.distance(error, made) for error, made in pairs),
        error_length=fmean(len(error) for error, _ in pairs),
        extrapolation_length=fmean(len(made) for _, made in pairs),
        copies=sum(error.strip() == made.strip() for error, made in pairs),
    )


def pairs_of(run: Path) -> list[tuple[str, str]]:
    """(error, kept extrapolation) of a run folder. Raises DataError if it is none."""
    file = run / "candidates.jsonl"
    if not file.exists():
        raise DataError(f"{run}: has no candidates.jsonl; name the folder of a finished run")
    rows = [row for row in read_jsonl(file) if row.get("exemplar") and row["dropped"] is None]
    return [(row["exemplar"], row["input"]) for row in rows]


def encoder(path: str, revision: str | None = None) -> Embed:
    """Mean of the last hidden states of an encoder or language model. Raises ConfigError for what is none."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision)
        model = AutoModel.from_pretrained(path, revision=revision, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        raise ConfigError(f"--encoder: {path} cannot be loaded: {str(error).strip().splitlines()[0][:200]}") from error

    def embed(texts: Sequence[str]) -> list[list[float]]:
        vectors = []
        with torch.inference_mode():
            for text in texts:
                ids = tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
                ids.pop("token_type_ids", None)
                vectors.append(model(**ids).last_hidden_state[0].float().mean(0).tolist())
        return vectors

    return embed


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    norm = sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5
    return sum(x * y for x, y in zip(a, b, strict=True)) / norm if norm else 0.0


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="selfguide quality", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--encoder", default=ENCODER, help=f"hub name or folder of the embedding model ({ENCODER})")
    options = parser.parse_args(arguments)
    try:
        figures = quality(pairs_of(options.run), encoder(options.encoder))
    except SelfguideError as error:
        fail(str(error))
    print(json_text({key: round(value, 4) for key, value in asdict(figures).items()}, indent=1))
