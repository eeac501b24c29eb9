"""What takes settings: its dataclass, and where its implementation is. Nothing heavy is imported here."""

from dataclasses import dataclass

from selfguide.config.knobs import knob
from selfguide.config.loop import MethodConfig
from selfguide.config.registry import Entry
from selfguide.config.serving import HFEngineConfig


@dataclass
class SelfPromptConfig(MethodConfig):
    """`method=self_prompt method.shown=4`."""

    shown: int = knob(ge=1, default=2)  # self-made demonstrations in the prompt


@dataclass
class GreedyConfig(HFEngineConfig):
    """`engine=greedy`."""

    lifetime: str = "keep"
    annotation_batch: int = 64
    evaluation_batch: int = 256
    batch_tokens: int = 16384
    device: str = "auto"
    attention: str = "auto"


METHOD = Entry("selfguide_example.method:run", SelfPromptConfig, version="1", trains=False)
ENGINE = Entry("selfguide_example.engine:GreedyEngine.from_config", GreedyConfig, version="1")
