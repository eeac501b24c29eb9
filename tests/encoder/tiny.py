"""A tiny BERT in a folder, a toy task that words decide, and small configurations."""

import json
from pathlib import Path
from typing import Any

import torch

from selfguide.config.students import EncoderConfig, InfluenceConfig
from selfguide.core.seeding import child_random
from selfguide.core.types import Example

LABELS = ("good", "bad")
GOOD, BAD = ["fine", "bright", "sweet", "warm"], ["foul", "dull", "sour", "cold"]
FILLER = ["the", "day", "was", "very", "and", "so", "room", "tea"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLER]


def bert_folder(folder: Path, hidden: int = 16, positions: int = 32) -> Path:
    """Weights as safetensors, and a word vocabulary, as a published encoder has them."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=hidden,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=positions,
        initializer_range=0.25,  # a width this small stands still for long with the usual 0.02
    )
    BertModel(shape).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    return folder


def distilbert_folder(folder: Path) -> Path:
    """As above, without segments in its input and with two layers on top."""
    from transformers import DistilBertConfig, DistilBertModel

    torch.manual_seed(0)
    shape = DistilBertConfig(
        vocab_size=len(WORDS),
        dim=16,
        n_layers=1,
        n_heads=2,
        hidden_dim=32,
        max_position_embeddings=32,
        initializer_range=0.25,
    )
    DistilBertModel(shape).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True})
    )
    return folder


def pairs(count: int, seed: int = 0, wrong: float = 0.0) -> list[Example]:
    """Sentences with one word that decides; a share `wrong` has the other label. All texts differ."""
    draw = child_random(seed, "toy")
    made: dict[str, Example] = {}
    while len(made) < count:
        place = len(made) % 2
        words = [draw.choice((GOOD, BAD)[place]), *(draw.choice(FILLER) for _ in range(draw.randint(2, 5)))]
        draw.shuffle(words)
        label = LABELS[1 - place if draw.random() < wrong else place]
        made.setdefault(" ".join(words), Example(" ".join(words), label))
    return list(made.values())


def encoder_config(path: Path | str, **changes: Any) -> EncoderConfig:
    values: dict[str, Any] = {
        "path": str(path),
        "revision": None,
        "hidden_size": 16,
        "layers": 1,
        "vocabulary": 100,
        "embedding": 16,
        "dropout": 0.0,
        "epochs": 12,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "schedule": "linear",
        "warmup_fraction": 0.1,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "max_length": 24,
        "held_out": 0.2,
        "patience": 6,
    }
    return EncoderConfig(**values | changes)


def influence_config(**changes: Any) -> InfluenceConfig:
    values: dict[str, Any] = {
        "scorer": "influence",
        "objective": "noise_tolerant",
        "params": "last",
        "sample": None,
        "recursions": 200,
        "batch_size": 16,
        "damp": 0.01,
        "scale": 10.0,
        "l2": 0.005,
    }
    return InfluenceConfig(**values | changes)
