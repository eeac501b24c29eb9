"""Muon for the hidden matrices, AdamW for embeddings and norms: torch's own, as one optimiser with one state."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class MuonAdamW:
    """Hidden matrices by Muon with Nesterov momentum, all other parameters by AdamW; neither decays weights."""

    def __init__(self, named: Iterable[tuple[str, Tensor]], muon_lr: float = 0.02, adam_lr: float = 2e-3) -> None:
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for name, parameter in named:
            (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
        self.optimisers: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, lr=muon_lr, weight_decay=0.0),
            torch.optim.AdamW(others, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0),
        )
        self._rates = (muon_lr, adam_lr)

    def step(self, scale: float) -> None:
        """One update with both learning rates times `scale`; gradients are cleared."""
        for optimiser, rate in zip(self.optimisers, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * scale
            optimiser.step()
            optimiser.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Everything that decides the next steps, as tensors by name."""
        return {
            f"{number}.{index}.{name}": tensor
            for number, optimiser in enumerate(self.optimisers)
            for index, values in optimiser.state_dict()["state"].items()
            for name, tensor in values.items()
        }

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for number, optimiser in enumerate(self.optimisers):
            state: dict[int, dict[str, Any]] = {}
            for key, tensor in tensors.items():
                owner, index, name = key.split(".")
                if int(owner) == number:
                    state.setdefault(int(index), {})[name] = tensor
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
