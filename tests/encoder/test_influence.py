"""The estimate against the exact inverse Hessian, and against what retraining does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from selfguide.core.errors import TrainingError
from selfguide.core.types import Example
from selfguide.training.encoder.influence import Gradients, influence, last_layer
from selfguide.training.encoder.predict import EncoderClassifier
from selfguide.training.encoder.text import collate
from selfguide.training.encoder.train import EncoderData, train_encoder, weights_hash
from tests.encoder.tiny import LABELS, distilbert_folder, encoder_config, influence_config, pairs


@pytest.fixture(scope="module")
def classifier(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> EncoderClassifier:
    config = encoder_config(bert, epochs=2, learning_rate=3e-3)
    result = train_encoder(config, EncoderData(LABELS, pairs(60)), tmp_path_factory.mktemp("trained"), 0, "cpu")
    trained = EncoderClassifier.load(result.folder, LABELS)
    trained.model.double()
    return trained


def features(classifier: EncoderClassifier, rows: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the last layer sees (with a 1 for its bias), and class numbers."""
    batch = collate(classifier.encode([row.input for row in rows]), classifier.tokenizer, "cpu")
    with torch.no_grad():
        pooled = classifier.model.bert(**batch).pooler_output
    labels = torch.tensor([LABELS.index(row.output) for row in rows])
    return torch.cat([pooled, torch.ones(len(rows), 1, dtype=pooled.dtype)], dim=1), labels


@pytest.mark.parametrize("objective", ["noise_tolerant", "cross_entropy"])
def test_equals_the_exact_inverse_hessian_of_the_last_layer(classifier: EncoderClassifier, objective: str) -> None:
    train, validation = pairs(24), pairs(10, seed=7)
    config = influence_config(objective=objective, batch_size=24, recursions=1200, damp=0.02, scale=3.0)
    found = influence(classifier, train, validation, config, 0)

    layer = classifier.model.classifier
    theta = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().flatten()
    (x, y), (vx, vy) = features(classifier, train), features(classifier, validation)
    width = x.shape[1]
    decays = torch.ones(2, width, dtype=torch.double)
    decays[:, -1] = 0  # no decay on the bias

    def logits(flat: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ flat.view(2, width).T

    def training(flat: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits(flat, x), y) + config.l2 * (decays.flatten() * flat**2).sum()

    def held_out(flat: torch.Tensor) -> torch.Tensor:
        if objective == "cross_entropy":
            return cross_entropy(logits(flat, vx), vy)
        return (1 - logits(flat, vx).softmax(-1)[torch.arange(len(vy)), vy]).mean()

    hessian = torch.autograd.functional.hessian(training, theta) + config.damp * config.scale * torch.eye(len(theta))
    gradient = torch.autograd.functional.jacobian(held_out, theta)
    each = torch.autograd.functional.jacobian(lambda t: cross_entropy(logits(t, x), y, reduction="none"), theta)
    exact = -each @ torch.linalg.solve(hessian, gradient)
    assert torch.tensor(found, dtype=torch.double) == pytest.approx(exact, rel=1e-6, abs=1e-12)


def test_all_parameters_give_the_slope_of_the_validation_loss(classifier: EncoderClassifier) -> None:
    # With a huge damping H vanishes: the score is -grad L(z) · grad L_val / (damp * scale).
    train, validation = pairs(6), pairs(6, seed=7)
    config = influence_config(params="all", recursions=60, damp=0.5, scale=1e9, l2=0.0, objective="cross_entropy")
    found = influence(classifier, train, validation, config, 0)
    model = classifier.model
    parameters = list(model.parameters())

    def gradient(rows: list[Example]) -> torch.Tensor:
        batch = collate(classifier.encode([row.input for row in rows]), classifier.tokenizer, "cpu")
        loss = cross_entropy(model(**batch).logits, torch.tensor([LABELS.index(row.output) for row in rows]))
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])

    expected = [float(-gradient([row]) @ gradient(validation)) / 0.5e9 for row in train]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("params", ["last", "all"])
def test_wrong_labels_are_the_harmful_ones(params: str, bert: Path, tmp_path: Path) -> None:
    right = pairs(100)
    flipped = set(range(0, 100, 5))
    train = [
        replace(row, output=LABELS[row.output == LABELS[0]]) if place in flipped else row
        for place, row in enumerate(right)
    ]
    config = encoder_config(bert, epochs=8, patience=None)
    result = train_encoder(config, EncoderData(LABELS, train), tmp_path, 0, "cpu")
    trained = EncoderClassifier.load(result.folder, LABELS)
    settings = influence_config(params=params, recursions=50, scale=100.0, damp=0.02)
    scores = influence(trained, train, pairs(40, seed=9), settings, 0)
    wrong = [scores[place] for place in sorted(flipped)]
    clean = [score for place, score in enumerate(scores) if place not in flipped]
    above = sum(w > c for w in wrong for c in clean) / (len(wrong) * len(clean))
    assert above > 0.9
    assert sum(wrong) / len(wrong) > 0 > sum(clean) / len(clean)
    # Nearly a third of the validation labels wrong: the bounded loss still tells them apart.
    noisy = influence(trained, train, pairs(60, seed=9, wrong=0.3), settings, 0)
    assert sum(noisy[p] for p in flipped) / 20 > sum(s for p, s in enumerate(noisy) if p not in flipped) / 80


@pytest.mark.parametrize("params", ["last", "all"])
def test_the_published_kind_of_encoder(params: str, tmp_path: Path) -> None:
    config = encoder_config(distilbert_folder(tmp_path / "base"), epochs=20, patience=None)
    result = train_encoder(config, EncoderData(LABELS, pairs(80)), tmp_path, 0, "cpu")
    trained = EncoderClassifier.load(result.folder, LABELS)
    assert last_layer(trained.model) == {"classifier.weight", "classifier.bias"}
    rows = pairs(20, seed=3)
    right = sum(a == row.output for a, row in zip(trained.labels_of([r.input for r in rows]), rows, strict=True))
    assert right >= 18
    scores = influence(trained, rows, pairs(10, seed=7), influence_config(params=params, recursions=10, scale=1e3), 0)
    assert all(score == score and score != 0 for score in scores)


def test_more_than_two_labels(bert: Path, tmp_path: Path) -> None:
    labels = ("good", "bad", "neither")
    rows = [
        *pairs(30),
        *(Example(f"the {word} was {other}", "neither") for word in ("day", "tea") for other in ("so", "the")),
    ]
    result = train_encoder(encoder_config(bert, epochs=2), EncoderData(labels, rows), tmp_path, 0, "cpu")
    trained = EncoderClassifier.load(result.folder, labels)
    scores = influence(trained, rows, rows[-10:], influence_config(recursions=20), 0)
    assert len(scores) == len(rows)
    assert all(score == score and score != 0 for score in scores)


def test_only_a_sample_is_scored(classifier: EncoderClassifier) -> None:
    config = influence_config(sample=5, recursions=5)
    scores = influence(classifier, pairs(20), pairs(5, seed=7), config, 0)
    assert sum(score != 0.0 for score in scores) == 5
    assert scores == influence(classifier, pairs(20), pairs(5, seed=7), config, 0)
    other = influence(classifier, pairs(20), pairs(5, seed=7), config, 1)
    assert [s != 0 for s in scores] != [s != 0 for s in other]


def test_the_classifier_is_left_as_it_was(classifier: EncoderClassifier) -> None:
    before = weights_hash(classifier.model)
    attention = classifier.model.config._attn_implementation
    classifier.model.train()
    influence(classifier, pairs(6), pairs(4, seed=7), influence_config(recursions=3), 0)
    assert weights_hash(classifier.model) == before
    assert not classifier.model.training  # no dropout in what is asked next
    assert classifier.model.config._attn_implementation == attention
    assert all(p.requires_grad for p in classifier.model.parameters())
    assert all(p.grad is None for p in classifier.model.parameters())


def test_loss_and_random(classifier: EncoderClassifier) -> None:
    train = pairs(12)
    train[3] = replace(train[3], output=LABELS[train[3].output == LABELS[0]])
    losses = influence(classifier, train, [], influence_config(scorer="loss"), 0)
    assert sum(losses) == pytest.approx(0, abs=1e-9)
    shares = classifier.probabilities([train[3].input])[0][LABELS.index(train[3].output)]
    assert (losses[3] > 0) == (shares < 0.5)
    chance = influence(classifier, train, [], influence_config(scorer="random"), 0)
    assert len(set(chance)) == 12
    assert chance == influence(classifier, train, [], influence_config(scorer="random"), 0)
    assert chance != influence(classifier, train, [], influence_config(scorer="random"), 1)
    assert influence(classifier, [], [], influence_config(), 0) == []


def test_a_scale_below_the_curvature_is_an_error(classifier: EncoderClassifier) -> None:
    config = influence_config(scale=0.01, damp=0.0, recursions=200)
    with pytest.raises(TrainingError, match=r"student\.influence\.scale=0\.01; try ten times that"):
        influence(classifier, pairs(20), pairs(5, seed=7), config, 0)
    with pytest.raises(TrainingError, match="'odd' is none"):
        influence(classifier, [Example("a", "odd")], pairs(5), influence_config(), 0)
    with pytest.raises(TrainingError, match="validation pairs"):
        influence(classifier, pairs(5), [], influence_config(), 0)
    assert all(p.requires_grad for p in classifier.model.parameters())


def test_the_last_layer_is_found(classifier: EncoderClassifier) -> None:
    assert last_layer(classifier.model) == {"classifier.weight", "classifier.bias"}


def test_an_lstm_has_second_derivatives(tmp_path: Path) -> None:
    """With all recursions done the estimate solves (H + damp * scale) s = v, H by finite differences of gradients."""
    config = encoder_config("lstm", epochs=2, hidden_size=8, embedding=8)
    result = train_encoder(config, EncoderData(LABELS, pairs(40)), tmp_path, 0, "cpu")
    trained = EncoderClassifier.load(result.folder, LABELS)
    trained.model.double()
    parameters = list(trained.model.parameters())
    train, settings = pairs(12), influence_config(params="all", batch_size=12, recursions=60, damp=0.3, scale=20.0)
    gradients = Gradients(trained, settings)
    direction = gradients.inverse_hessian_product(train, (v := gradients.validation(pairs(10, seed=7))), 0)

    def slope() -> list[torch.Tensor]:
        batch = collate(trained.encode([row.input for row in train]), trained.tokenizer, "cpu")
        loss = cross_entropy(trained.model(**batch).logits, torch.tensor([LABELS.index(r.output) for r in train]))
        loss = loss + settings.l2 * sum((p**2).sum() for p in parameters if p.ndim >= 2)
        return list(torch.autograd.grad(loss, parameters))

    ends = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for parameter, change in zip(parameters, direction, strict=True):
                parameter += step * change
        ends.append(slope())
        with torch.no_grad():
            for parameter, change in zip(parameters, direction, strict=True):
                parameter -= step * change
    for up, down, s, wanted in zip(*ends, direction, v, strict=True):
        solved = (up - down) / 2e-6 + settings.damp * settings.scale * s
        torch.testing.assert_close(solved, wanted, rtol=1e-4, atol=1e-7)
