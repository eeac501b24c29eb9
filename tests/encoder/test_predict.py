from pathlib import Path

import pytest

from selfguide.core.errors import TrainingError
from selfguide.training.encoder.predict import EncoderClassifier
from selfguide.training.encoder.train import EncoderData, train_encoder
from tests.encoder.tiny import LABELS, encoder_config, pairs


@pytest.fixture(scope="module")
def classifier(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> EncoderClassifier:
    folder = tmp_path_factory.mktemp("trained")
    result = train_encoder(encoder_config(bert), EncoderData(LABELS, pairs(60)), folder, 0, "cpu")
    return EncoderClassifier.load(result.folder, LABELS)


def test_probabilities_are_of_each_input_in_order(classifier: EncoderClassifier) -> None:
    inputs = [pair.input for pair in pairs(40, seed=5)] + ["sour " * 50, ""]
    together = classifier.probabilities(inputs, batch=7)
    for text, shares in zip(inputs, together, strict=True):
        assert sum(shares) == pytest.approx(1.0)
        assert shares == pytest.approx(classifier.probabilities([text])[0], abs=1e-5)
    labels = classifier.labels_of(inputs)
    assert labels == [LABELS[shares[1] > shares[0]] for shares in together]
    assert classifier.probabilities([]) == []


def test_predicting_leaves_no_trace(classifier: EncoderClassifier) -> None:
    first = classifier.probabilities(["sour tea"])
    assert classifier.probabilities(["sour tea"]) == first
    assert not classifier.model.training


def test_a_folder_without_a_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds no trained encoder"):
        EncoderClassifier.load(tmp_path)
