"""AdamW for weights in bfloat16 (`finetuning.master_weights`).

With 8 bits of precision a weight of 0.02 moves in steps of 0.0001: updates of a learning rate of 5e-5 are rounded away,
most weights never move. Either the updates add up in a float32 copy, or they are rounded up or down at random, in
proportion, so that they are right on average (Zamirai et al., arXiv 2010.06192).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.adamw import adamw


class RoundedAdamW(torch.optim.Optimizer):
    """AdamW that computes in float32 what is stored in 16 bits, a tensor at a time.

    `copies`: weights and both moments are kept in float32 beside the weights (12 bytes a weight). Without, both moments
    are kept as the weights are and all three are rounded at random (4 bytes a weight).
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        copies: bool = True,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self._copies = copies

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every weight that has a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is not None:
                    self._update(group, weights)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As saved; torch would make the float32 of it what the weights are."""
        super().load_state_dict(state_dict)
        saved = [index for group in state_dict["param_groups"] for index in group["params"]]
        weights = [tensor for group in self.param_groups for tensor in group["params"]]
        for index, tensor in zip(saved, weights, strict=True):
            for name, value in state_dict["state"].get(index, {}).items():
                self.state[tensor][name] = value.to(tensor.device) if name != "step" else value

    def _update(self, group: dict[str, Any], weights: torch.Tensor) -> None:
        state = self.state[weights]
        if not state:
            dtype = torch.float32 if self._copies else weights.dtype
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(weights, dtype=dtype)
            state["exp_avg_sq"] = torch.zeros_like(weights, dtype=dtype)
            if self._copies:
                state["copy"] = weights.detach().clone().float()
        stored = [state.get("copy", weights), state["exp_avg"], state["exp_avg_sq"]]
        copy, first, second = (tensor.float() for tensor in stored)  # itself, where it is float32
        assert weights.grad is not None
        adamw(
            [copy],
            [weights.grad.float()],
            [first],
            [second],
            [],
            [state["step"]],
            foreach=False,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        if self._copies:
            weights.copy_(copy)
            return
        for tensor, value in zip(stored, (copy, first, second), strict=True):
            _store_at_random(tensor, value)


def _store_at_random(target: torch.Tensor, value: torch.Tensor) -> None:
    """Round to bfloat16, up or down, the likelier the nearer: bfloat16 is the upper half of float32's bits."""
    ours, exact = (t.to_local() if hasattr(t, "to_local") else t for t in (target, value))
    bits = exact.contiguous().view(torch.int32)
    noise = torch.randint(0, 1 << 16, bits.shape, dtype=torch.int32, device=bits.device)
    ours.copy_((bits + noise).bitwise_and_(-(1 << 16)).view(torch.float32))
