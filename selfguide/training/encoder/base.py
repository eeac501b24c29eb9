"""Which encoder `student.encoder.path` means, and a fresh copy of it with a new classification layer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from selfguide.config.serving import ModelConfig
from selfguide.config.students import EncoderConfig
from selfguide.core.errors import ConfigError
from selfguide.models.source import ModelSource, model_identity, resolve_model

SCRATCH, LSTM = "scratch", "lstm"
RANDOM = (SCRATCH, LSTM)
"""Encoders of random weights, with the words of the training texts as vocabulary."""


def encoder_identity(config: EncoderConfig) -> str:
    """What the untrained encoder *is*, for store keys: a content hash, `id@commit` of the hub, or its sizes."""
    if config.path in RANDOM:
        shape = f"{config.path}-{config.layers}x{config.hidden_size}-{config.vocabulary}"
        return shape if config.path == SCRATCH else f"{shape}-{config.embedding}"
    _source(config)
    return model_identity(_as_model(config))


def fresh_encoder(
    config: EncoderConfig, labels: Sequence[str], texts: Sequence[str], device: str
) -> tuple[Any, Any, int]:
    """Model with a random classification layer (without labels: one that marks a span), tokenizer, tokens per row.

    Random numbers come from torch's global generator: seed it first. `texts` give an encoder of random
    weights its vocabulary. Raises `ConfigError` for a path that is no encoder.
    """
    if config.path in RANDOM:
        from selfguide.training.encoder.scratch import scratch_encoder

        model, tokenizer = scratch_encoder(config, labels, texts)
        return model.to(device), tokenizer, config.max_length
    return _published(config, labels, device)


def label_names(labels: Sequence[str]) -> dict[str, dict[Any, Any]]:
    """The class numbers of `labels`, in their order, as transformers' configurations keep them."""
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' bars, and without its news that a classification layer is new."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _published(config: EncoderConfig, labels: Sequence[str], device: str) -> tuple[Any, Any, int]:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoModelForSequenceClassification, AutoTokenizer

    kind = AutoModelForSequenceClassification if labels else AutoModelForQuestionAnswering
    source = _source(config)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source.location, revision=source.revision)
            model = kind.from_pretrained(
                source.location,
                revision=source.revision,
                use_safetensors=True,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,  # the layer of an already finetuned classifier is replaced
                **(label_names(labels) if labels else {}),
            )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        use = "a classifier" if labels else "a student that marks spans"
        raise ConfigError(f"student.encoder.path: {config.path} cannot be used as {use}: {reason}") from error
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is not None and config.max_length > limit:
        raise ConfigError(
            f"student.encoder.max_length: {config.max_length} is more than the {limit} tokens {config.path} takes"
        )
    return model.to(device), tokenizer, config.max_length


def _source(config: EncoderConfig) -> ModelSource:
    try:
        return resolve_model(_as_model(config))
    except ConfigError as error:
        text = str(error).replace("model.path", "student.encoder.path").replace("micro, ", f"{', '.join(RANDOM)}, ")
        raise ConfigError(text) from error


def _as_model(config: EncoderConfig) -> ModelConfig:
    if config.path == "micro":
        raise ConfigError(
            f"student.encoder.path: micro is not an encoder (allowed: {', '.join(RANDOM)}, a folder, owner/name)"
        )
    return ModelConfig(
        name=config.path, path=config.path, revision=config.revision, prompt_format="plain", chat_template=None
    )
