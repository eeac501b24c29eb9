"""What decides a pretraining run; the values are in `conf/micro/pretrain.yaml`. Imports no torch."""

from dataclasses import dataclass, field


@dataclass
class Architecture:
    """A Llama with heads of 64 and tied embeddings."""

    hidden: int = 256
    layers: int = 5
    feed_forward: int = 512
    vocabulary: int = 2560
    context: int = 1024


@dataclass
class Phase:
    """A mixture that holds until `until` million tokens."""

    until: float = 1e9
    mixture: dict[str, float] = field(default_factory=dict)


@dataclass
class Pretraining:
    """Everything that decides the model. `tokens` is in millions; the rate falls over the last `decay` of them."""

    output: str = "runs/micro_pretrain"
    seed: int = 0
    tokens: float = 45.0
    batch_tokens: int = 4096
    warmup_steps: int = 60
    decay: float = 0.3
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    threads: int = 1
    checkpoint_minutes: float = 4.0
    probe_every: float = 1.0
    probe_cases: int = 48
    architecture: Architecture = field(default_factory=Architecture)
    phases: list[Phase] = field(default_factory=lambda: [Phase()])
