"""The encoder's training as a stage, and the trained encoder as what answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from selfguide.config.students import EncoderConfig, SpansConfig
from selfguide.core.child import ChildProgress, call
from selfguide.core.types import Example
from selfguide.store import NOT_KEYED, Journal, Stage, StoredStage, Workspace, keyed


class EncoderPredictor:
    """Answers with the likeliest label of a trained encoder."""

    def __init__(self, folder: Path, key: str, labels: Sequence[str], device: str) -> None:
        self.folder, self.labels, self.device = folder, tuple(labels), device
        self.identity = self.stage_identity = f"encoder+{key}"

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """One label per input; seconds of work, so a killed run does it again."""
        from selfguide.training.encoder.predict import EncoderClassifier

        answers = EncoderClassifier.load(self.folder, self.labels, self.device).labels_of(inputs)
        if progress is not None:
            progress(len(answers))
        return answers


class SpanPredictor(EncoderPredictor):
    """Answers with the likeliest span of the passage."""

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """One span per input; "" where there is no passage."""
        import json

        from transformers import AutoModelForQuestionAnswering, AutoTokenizer

        from selfguide.config.students import SpansConfig
        from selfguide.training.encoder.base import quiet
        from selfguide.training.encoder.predict import SETTINGS
        from selfguide.training.encoder.spans import Reading, answers

        settings = json.loads((self.folder / SETTINGS).read_text(encoding="utf-8"))
        reading = Reading(**{**settings, "spans": SpansConfig(**settings["spans"])})
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(self.folder)
            model = AutoModelForQuestionAnswering.from_pretrained(self.folder, use_safetensors=True)
        found = answers(model.to(self.device).eval(), tokenizer, inputs, reading, self.device)
        if progress is not None:
            progress(len(found))
        return found


def _with_content(config: EncoderConfig) -> list[Any]:
    from selfguide.training.encoder.base import encoder_identity

    return [config, encoder_identity(config)]


@dataclass(frozen=True)
class TrainEncoder(Stage[EncoderPredictor]):
    """An encoder with a classification layer, trained on `pairs` from its published weights.

    Its epoch is chosen on `validation`; without, on a share of `pairs` that it does not learn from.
    """

    kind: ClassVar[str] = "encoder"
    version: ClassVar[int] = 1

    encoder: EncoderConfig = field(metadata=keyed(_with_content))
    labels: tuple[str, ...]
    context_until: str | None
    pairs: tuple[Example, ...]
    validation: tuple[Example, ...]
    seed: int
    device: str = field(metadata=NOT_KEYED)

    def build(self, work: Workspace) -> dict[str, Any]:
        from selfguide.training.encoder.train import train_encoder

        work.free_device()
        with work.bar(f"encoder ({work.name})", None, "steps") as bar:
            data = self.data()
            made = (self.encoder, data, work.path, self.seed, self.device, ChildProgress())
            done = call(train_encoder, *made, progress=bar)
        return {
            "rows": done.trained,
            "held_out": done.held_out,
            "over_length": done.cut,
            "steps": done.steps,
            "chosen_epoch": done.chosen,
            "trained_tokens": done.trained_tokens,
            "init": done.init,
        }

    def data(self) -> Any:
        """What it learns from."""
        from selfguide.training.encoder.train import EncoderData

        return EncoderData(self.labels, self.pairs, self.validation, self.context_until)

    def load(self, stored: StoredStage) -> EncoderPredictor:
        return EncoderPredictor(stored.path / "encoder", stored.key, self.labels, self.device)


@dataclass(frozen=True)
class TrainSpanEncoder(TrainEncoder):
    """The same for tasks whose outputs are spans: passage and question in, the answer's ends out."""

    kind: ClassVar[str] = "encoder_qa"

    instruction: str
    spans: SpansConfig

    def data(self) -> Any:
        """What it learns from."""
        from selfguide.training.encoder.train import EncoderData

        return EncoderData((), self.pairs, self.validation, self.context_until, self.instruction, self.spans)

    def load(self, stored: StoredStage) -> EncoderPredictor:
        return SpanPredictor(stored.path / "encoder", stored.key, (), self.device)
