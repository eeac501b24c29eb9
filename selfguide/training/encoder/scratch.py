"""A small encoder of random weights, with the words of the training texts as vocabulary."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from selfguide.config.students import EncoderConfig
from selfguide.training.encoder.base import LSTM, label_names

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
HEAD = 32  # width of an attention head


def scratch_encoder(config: EncoderConfig, labels: Sequence[str], texts: Sequence[str]) -> tuple[Any, Any]:
    """A BERT or an LSTM of `layers` layers of `hidden_size`, and its tokenizer."""
    from transformers import (
        BertConfig,
        BertForQuestionAnswering,
        BertForSequenceClassification,
        PreTrainedTokenizerFast,
    )

    words = word_pieces(texts, config.vocabulary)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(words),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=config.max_length,
    )
    if config.path == LSTM:
        from selfguide.training.encoder.lstm import fresh_lstm

        return fresh_lstm(config, len(words), label_names(labels)), tokenizer
    shape = BertConfig(
        vocab_size=len(words),
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=_heads(config.hidden_size),
        intermediate_size=4 * config.hidden_size,
        max_position_embeddings=config.max_length,
        initializer_range=config.hidden_size**-0.5,  # the usual 0.02 suits widths of hundreds
        **(label_names(labels) if labels else {}),
    )
    return (BertForSequenceClassification if labels else BertForQuestionAnswering)(shape), tokenizer


def word_pieces(texts: Sequence[str], size: int) -> list[str]:
    """The vocabulary, at most `size` long: special tokens, characters, then words by frequency.

    Counted here, not by a trainer with hash maps, so that equal texts give equal files.
    """
    from tokenizers import normalizers, pre_tokenizers

    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for character in word:
            characters[character] += count
    spelled = [c for c, _ in sorted(characters.items(), key=lambda item: (-item[1], item[0]))]
    spelled = spelled[: (size - len(SPECIAL)) // 4]  # each stands twice; half is left for words
    pieces = [*SPECIAL, *spelled, *(f"##{c}" for c in spelled)]
    words = sorted((word for word in counts if len(word) > 1), key=lambda word: (-counts[word], word))
    return [*pieces, *words[: size - len(pieces)]]


def _tokenizer(words: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", SPECIAL.index("[CLS]")), ("[SEP]", SPECIAL.index("[SEP]"))],
    )
    return tokenizer


def _heads(width: int) -> int:
    """The most heads of at least `HEAD` that divide the width."""
    return max(count for count in range(1, max(2, width // HEAD + 1)) if width % count == 0)
