"""The schema of `curation=`: which synthetic rows are not trained on. Values and their meaning: conf/curation/."""

from dataclasses import dataclass

from omegaconf import MISSING

from selfguide.config.builtin import CURATION
from selfguide.config.knobs import Extensible, knob


@dataclass
class CurationConfig(Extensible):
    """A choice among finished pairs, by how a model takes them. No gold."""

    kind: str = knob(one_of=("none",), registry=CURATION)
    drop_share: float = knob(ge=0, lt=1)
    min_confidence: float | None = knob(ge=0, le=1)
    within_labels: bool = MISSING
    correct: bool = MISSING
    judged_by: str = knob(one_of=("halves", "real"))
    hard_confidence: float = knob(ge=0, le=1)
    hard_variability: float = knob(ge=0, le=1)
