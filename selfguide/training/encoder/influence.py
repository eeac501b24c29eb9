"""Which synthetic pairs help on a synthetic validation set: ProGen's feedback (arXiv 2210.12329).

The influence of a pair z is -grad L(z) · s with s = H^-1 grad L_val: by how much the validation
loss rises when z weighs a little more in training. Negative: z helps. s is estimated by LiSSA,
without the Hessian itself.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy

from selfguide.config.students import InfluenceConfig
from selfguide.core.errors import TrainingError
from selfguide.core.seeding import child_random
from selfguide.core.types import Example
from selfguide.training.encoder.predict import EncoderClassifier, by_length
from selfguide.training.encoder.text import EncodedText, collate

Tensors = tuple[torch.Tensor, ...]


def influence(
    classifier: EncoderClassifier,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: InfluenceConfig,
    seed: int,
) -> list[float]:
    """A score for each of `train`, negative: helpful. Pairs beyond `config.sample` score 0.

    `train` are pairs that the classifier was trained on, `validation` synthetic pairs that it was
    not. Raises `TrainingError` if the estimate diverges (`influence.scale` is too small).
    """
    scores = [0.0] * len(train)
    chosen = list(range(len(train)))
    if config.sample is not None and config.sample < len(train):
        chosen = sorted(child_random(seed, "influence sample").sample(chosen, config.sample))
    pairs = [train[index] for index in chosen]
    for index, score in zip(chosen, _scores(classifier, pairs, validation, config, seed), strict=True):
        scores[index] = score
    return scores


def _scores(
    classifier: EncoderClassifier,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: InfluenceConfig,
    seed: int,
) -> list[float]:
    if not train:
        return []
    if config.scorer == "random":
        return [child_random(seed, "influence random", index).uniform(-1, 1) for index in range(len(train))]
    scorer = Gradients(classifier, config)
    try:
        if config.scorer == "loss":
            return scorer.centred_losses(train)
        if not validation:
            raise TrainingError("influence needs validation pairs")
        return scorer.influences(train, scorer.inverse_hessian_product(train, scorer.validation(validation), seed))
    finally:
        scorer.release()


class Gradients:
    """Losses of a classifier in eval mode (dropout is noise here) and their derivatives."""

    def __init__(self, classifier: EncoderClassifier, config: InfluenceConfig) -> None:
        self.classifier, self.config = classifier, config
        self.model = classifier.model.eval()
        self._attention = self.model.config._attn_implementation
        self.model.set_attn_implementation("eager")  # fused attention has no second derivative
        named = dict(self.model.named_parameters())
        names = set(named) if config.params == "all" else last_layer(self.model)
        self._frozen = [p for name, p in named.items() if name not in names and p.requires_grad]
        for parameter in self._frozen:
            parameter.requires_grad_(False)
        self.parameters: Tensors = tuple(p for name, p in named.items() if name in names)
        self.decay = tuple(2 * config.l2 * (p.ndim >= 2) for p in self.parameters)

    def release(self) -> None:
        """Leave the model as it was."""
        for parameter in self._frozen:
            parameter.requires_grad_(True)
        self.model.set_attn_implementation(self._attention)

    def validation(self, pairs: Sequence[Example]) -> Tensors:
        """Gradient of the mean validation loss."""
        rows, labels = self._encoded(pairs)
        total = tuple(torch.zeros_like(p) for p in self.parameters)
        for indices in by_length(rows, 64):
            loss = self._losses(rows, labels, indices, self.config.objective).sum() / len(rows)
            grads = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
            total = tuple(a + b for a, b in zip(total, grads, strict=True))
        return total

    def inverse_hessian_product(self, pairs: Sequence[Example], vector: Tensors, seed: int) -> Tensors:
        """(H + damp * scale)^-1 · vector by LiSSA, one seeded batch of `pairs` to a step.

        h <- v + (1 - damp) h - H h / scale settles at (damp + H / scale)^-1 v; divided by `scale`.
        """
        config = self.config
        rows, labels = self._encoded(pairs)
        draw = child_random(seed, "influence batches")
        estimate = vector
        size = _norm(vector)
        for _ in range(config.recursions):
            indices = (
                draw.sample(range(len(rows)), config.batch_size)
                if config.batch_size < len(rows)
                else list(range(len(rows)))
            )
            curved = self._hessian_product(rows, labels, indices, estimate)
            estimate = tuple(
                v + (1 - config.damp) * h - c / config.scale for v, h, c in zip(vector, estimate, curved, strict=True)
            )
            # Each step adds at most |v| when it converges; more, and the curvature is beyond `scale`.
            if not _norm(estimate) <= (config.recursions + 1) * size:
                raise TrainingError(
                    f"influence does not converge with student.influence.scale={config.scale:g}; try ten times that"
                )
        return tuple(h / config.scale for h in estimate)

    def influences(self, pairs: Sequence[Example], direction: Tensors) -> list[float]:
        """-grad L(z) · direction of each pair; L is the cross-entropy."""
        rows, labels = self._encoded(pairs)
        scores = [0.0] * len(rows)
        for indices in by_length(rows, 64):
            losses = self._losses(rows, labels, indices, "cross_entropy")
            # The gradient of (u · losses) is linear in u; its product with the direction,
            # differentiated by u, is every pair's product at once.
            ones = torch.ones_like(losses, requires_grad=True)
            grads = torch.autograd.grad(
                losses, self.parameters, ones, create_graph=True, allow_unused=True, materialize_grads=True
            )
            product = torch.stack([(g * d).sum() for g, d in zip(grads, direction, strict=True)]).sum()
            (slopes,) = torch.autograd.grad(product, ones)
            for index, slope in zip(indices, slopes.tolist(), strict=True):
                scores[index] = -slope
        return scores

    def centred_losses(self, pairs: Sequence[Example]) -> list[float]:
        """The loss of each pair less their mean: pairs that the classifier doubts score above 0."""
        rows, labels = self._encoded(pairs)
        losses = [0.0] * len(rows)
        with torch.no_grad():
            for indices in by_length(rows, 64):
                values = self._losses(rows, labels, indices, "cross_entropy").tolist()
                for index, value in zip(indices, values, strict=True):
                    losses[index] = value
        mean = sum(losses) / len(losses)
        return [loss - mean for loss in losses]

    def _hessian_product(
        self, rows: Sequence[EncodedText], labels: Sequence[int], indices: Sequence[int], vector: Tensors
    ) -> Tensors:
        """Hessian of a batch's training loss (mean cross-entropy and `l2`), times `vector`."""
        loss = self._losses(rows, labels, indices, "cross_entropy").mean()
        grads = torch.autograd.grad(loss, self.parameters, create_graph=True, allow_unused=True, materialize_grads=True)
        product = torch.stack([(g * v).sum() for g, v in zip(grads, vector, strict=True)]).sum()
        curved = torch.autograd.grad(product, self.parameters, allow_unused=True, materialize_grads=True)
        return tuple(c + decay * v for c, decay, v in zip(curved, self.decay, vector, strict=True))

    def _losses(
        self, rows: Sequence[EncodedText], labels: Sequence[int], indices: Sequence[int], objective: str
    ) -> torch.Tensor:
        batch = collate([rows[i] for i in indices], self.classifier.tokenizer, self.classifier.device)
        logits = self.model(**batch).logits
        target = torch.tensor([labels[i] for i in indices], device=logits.device)
        if objective == "cross_entropy":
            return cross_entropy(logits, target, reduction="none")
        # 1 - p of the label: bounded, and symmetric in the labels, so wrong labels cost no more than they should.
        result: torch.Tensor = 1 - logits.softmax(-1).gather(1, target[:, None])[:, 0]
        return result

    def _encoded(self, pairs: Sequence[Example]) -> tuple[list[EncodedText], list[int]]:
        known = self.classifier.labels
        strange = next((pair.output for pair in pairs if pair.output not in known), None)
        if strange is not None:
            raise TrainingError(f"influence: {strange!r} is none of the classifier's labels {', '.join(known)}")
        return self.classifier.encode([pair.input for pair in pairs]), [known.index(pair.output) for pair in pairs]


def last_layer(model: torch.nn.Module) -> set[str]:
    """Names of the parameters of the layer that gives the logits."""
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    return {f"{linear[-1]}.weight", f"{linear[-1]}.bias"} & {name for name, _ in model.named_parameters()}


def _norm(vector: Tensors) -> float:
    return float(torch.stack([(v * v).sum() for v in vector]).sum().sqrt())
