"""The micro model's tokenizer: byte-level BPE, so that any text tokenises, with field names as single tokens."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.micro.lexicon import VERBS, WORDS, plural
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.purposes import draw_episode

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
FIELDS = ("Task:", "\n\nInput:", "\nInput:", "\nOutput:", "\n\nOutput:", "\n\nDraft:", "\n\nNew inputs:")
"""Matched before the merges, longest first: one token starts a field and, at the end of an answer, stops it."""


def train_tokenizer(seed: int, vocabulary: int = 2560, episodes: int = 12_000, mixture: Mixture | None = None) -> Any:
    """A `tokenizers.Tokenizer` fitted to the corpus of a mixture (the families' alone unless given).

    It puts the beginning-of-sequence token by itself.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(FIELDS),
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, episodes, mixture or Mixture()), trainer)
    tokenizer.add_tokens([AddedToken(f, normalized=False) for f in FIELDS])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return tokenizer


def save_tokenizer(tokenizer: Any, folder: Path, context_length: int) -> None:
    """Write the files that transformers and vLLM load."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD, model_max_length=context_length
    ).save_pretrained(folder)


def label_pieces(tokenizer: Any) -> tuple[str, ...]:
    """The vocabulary's words and word beginnings: the material of random label names."""
    starts = (token[1:] for token in tokenizer.get_vocab() if re.fullmatch("Ġ[A-Za-z]{1,9}", token))
    return tuple(sorted(starts))


def _texts(seed: int, episodes: int, mixture: Mixture) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(episodes):
        yield draw_episode(rng, mixture, ()).text
    # Every word often enough to become one token, also after a line break and as a plural.
    for _ in range(40):
        for words in WORDS.values():
            yield " ".join(f"{w} {plural(w)}" if w.islower() else w for w in rng.sample(words, len(words)))
        for verbs in VERBS.values():
            yield " " + " ".join(form for verb in verbs for form in verb)
