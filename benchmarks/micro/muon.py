"""Muon for the matrices and AdamW for the rest, in one small optimiser whose state is a plain dict of tensors.

Matrices of one shape are orthogonalised together, which is what makes Muon cheap on a CPU.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def orthogonalise(updates: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration on a stack of matrices (rows <= columns): singular values go to about 1."""
    x = updates.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    result: Tensor = x.float()
    return result


class MuonAdamW:
    """`matrices`: hidden weights (Muon with Nesterov momentum); `others`: embeddings and norms (AdamW)."""

    def __init__(
        self,
        named: Iterable[tuple[str, Tensor]],
        muon_lr: float = 0.02,
        adam_lr: float = 2e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:
        self.muon_lr, self.adam_lr, self.momentum, self.betas = muon_lr, adam_lr, momentum, betas
        self.matrices: dict[str, Tensor] = {}
        self.others: dict[str, Tensor] = {}
        for name, parameter in named:
            (self.matrices if parameter.ndim == 2 and "embed" not in name else self.others)[name] = parameter
        self.state: dict[str, Tensor] = {"step": torch.zeros(())}
        for name, parameter in self.matrices.items():
            self.state[f"momentum.{name}"] = torch.zeros_like(parameter)
        for name, parameter in self.others.items():
            self.state[f"first.{name}"] = torch.zeros_like(parameter)
            self.state[f"second.{name}"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """One update with both learning rates times `scale`; gradients are cleared."""
        self.state["step"] += 1
        groups: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for name, parameter in self.matrices.items():
            assert parameter.grad is not None
            buffer = self.state[f"momentum.{name}"]
            buffer.lerp_(parameter.grad, 1 - self.momentum)
            update = parameter.grad.lerp(buffer, self.momentum)
            wide = update if update.shape[0] <= update.shape[1] else update.mT
            groups.setdefault((wide.shape[0], wide.shape[1]), []).append((parameter, wide))
        for members in groups.values():
            directions = orthogonalise(torch.stack([wide for _, wide in members]))
            for (parameter, _), direction in zip(members, directions, strict=True):
                rows, columns = parameter.shape
                rate = self.muon_lr * scale * max(1.0, rows / columns) ** 0.5
                parameter.sub_((direction if direction.shape == parameter.shape else direction.mT), alpha=rate)
                parameter.grad = None
        step = float(self.state["step"])
        for name, parameter in self.others.items():
            assert parameter.grad is not None
            first, second = self.state[f"first.{name}"], self.state[f"second.{name}"]
            first.lerp_(parameter.grad, 1 - self.betas[0])
            second.lerp_(parameter.grad.square(), 1 - self.betas[1])
            mean = first / (1 - self.betas[0] ** step)
            spread = (second / (1 - self.betas[1] ** step)).sqrt_().add_(1e-8)
            parameter.addcdiv_(mean, spread, value=-self.adam_lr * scale)
            parameter.grad = None
