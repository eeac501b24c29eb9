"""A bidirectional LSTM classifier from random weights: the smaller student of ZeroGen and ProGen.

A `transformers` model, so that it is trained, kept and read as any other encoder; importing this module registers it.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import AutoConfig, AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from selfguide.config.students import EncoderConfig


class LstmConfig(PretrainedConfig):  # type: ignore[misc]
    """Its sizes; `hidden_size` is the width of both directions together."""

    model_type = "selfguide_lstm"

    vocab_size: int = 0
    embedding_size: int = 100
    hidden_size: int = 300
    num_hidden_layers: int = 1
    dropout: float = 0.5


class LstmForSequenceClassification(PreTrainedModel):  # type: ignore[misc]
    """Words to vectors, an LSTM in each direction, the last states of both to the labels."""

    config_class = LstmConfig
    main_input_name = "input_ids"

    def __init__(self, config: LstmConfig) -> None:
        super().__init__(config)
        layers, dropout = config.num_hidden_layers, config.dropout
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            config.embedding_size,
            config.hidden_size // 2,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """As torch has drawn them: `transformers` would draw linear layers and embeddings with one small width."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> SequenceClassifierOutput:
        """Logits (rows, labels) of ids and mask (rows, tokens), padded on the right."""
        vectors = self.dropout(self.embedding(input_ids))
        rows = pack_padded_sequence(vectors, attention_mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        with torch.backends.cudnn.flags(enabled=False):  # its kernel has no second derivative, which influence needs
            _, (last, _) = self.lstm(rows)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(torch.cat([last[-2], last[-1]], dim=1))))


AutoConfig.register(LstmConfig.model_type, LstmConfig)
AutoModelForSequenceClassification.register(LstmConfig, LstmForSequenceClassification)


def fresh_lstm(config: EncoderConfig, vocabulary: int, names: dict[str, Any]) -> LstmForSequenceClassification:
    """One with random weights, from torch's global generator; `names` number the labels."""
    shape = LstmConfig(
        vocab_size=vocabulary,
        embedding_size=config.embedding,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        dropout=config.dropout,
        **names,
    )
    return LstmForSequenceClassification(shape)
