"""`conf/student`: every knob has a value in range, and the published numbers are there."""

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from selfguide.config.students import StudentConfig
from selfguide.config.validate import out_of_range
from selfguide.core.paths import config_dir

NAMES = sorted(path.stem for path in (config_dir() / "student").glob("*.yaml"))


def student(name: str) -> StudentConfig:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        chosen = compose(f"student/{name}")["student"]
    merged: Any = OmegaConf.merge(OmegaConf.structured(StudentConfig), chosen)
    assert not OmegaConf.missing_keys(merged)
    return OmegaConf.to_object(merged)  # type: ignore[return-value]


@pytest.mark.parametrize("name", NAMES)
def test_all_values_are_allowed(name: str) -> None:
    config = student(name)
    assert not list(out_of_range("student.", config))
    assert config.kind == ("causal" if name == "causal" else "encoder_qa" if "_qa" in name else "encoder")


@pytest.mark.parametrize(
    ("name", "epochs", "batch", "rate", "decay", "length", "patience"),
    [
        ("encoder_zerogen", 3, 32, 2e-5, 0.01, 128, 3),
        ("encoder_progen", 3, 32, 2e-5, 0.005, 512, 5),
        ("encoder_s3", 6, 8, 5e-6, 2e-8, 512, 10),
        ("encoder_s3_qnli", 10, 32, 5e-6, 2e-8, 512, 20),
        ("encoder_qa_s3", 10, 8, 1e-5, 1e-2, 512, 20),
        ("encoder_s3_rte", 20, 16, 1e-5, 1e-2, 512, 60),
    ],
)
def test_published_numbers(
    name: str, epochs: int, batch: int, rate: float, decay: float, length: int, patience: int
) -> None:
    encoder = student(name).encoder
    assert encoder.path == "distilbert/distilbert-base-uncased"
    assert (encoder.epochs, encoder.batch_size, encoder.learning_rate) == (epochs, batch, rate)
    assert (encoder.weight_decay, encoder.max_length, encoder.patience) == (decay, length, patience)
    assert encoder.held_out == 0.1


def test_published_influence() -> None:
    influence = student("encoder_progen").influence
    assert (influence.damp, influence.scale, influence.recursions) == (0.005, 1e4, 1000)
    assert (influence.batch_size, influence.sample, influence.l2) == (10, 10_000, 0.005)
    assert (influence.params, influence.objective) == ("all", "noise_tolerant")


@pytest.mark.parametrize(("name", "rate"), [("lstm_zerogen", 1e-4), ("lstm_progen", 1e-3)])
def test_published_numbers_of_the_lstm(name: str, rate: float) -> None:
    encoder = student(name).encoder
    assert (encoder.path, encoder.embedding, encoder.hidden_size, encoder.layers) == ("lstm", 100, 300, 1)
    assert (encoder.dropout, encoder.vocabulary, encoder.batch_size) == (0.5, 50_000, 32)
    assert (encoder.epochs, encoder.patience, encoder.learning_rate, encoder.max_grad_norm) == (20, 5, rate, 10.0)
    assert (encoder.schedule, encoder.weight_decay) == ("constant", 0.0)
