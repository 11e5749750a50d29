"""Stochastic gradient descent with momentum, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import unwrap
from typing import Any

import torch

ENTRY = {
    "about": "Stochastic gradient descent with momentum.",
    "options": {
        "momentum": {
            "type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.9, "description": "Momentum."},
        "weight_decay": {
            "type": "number", "minimum": 0, "default": 0.0005,
            "description": "L2 penalty, coupled with the rate as in torch's SGD."},
    },
}  # fmt: skip


class SGD(torch.optim.SGD):
    """PyTorch's own, without what keeps its methods out of compiled code: that imports the compiler when it is called.

    Importing it takes about as long as importing all the rest of PyTorch, and no optimiser is compiled here.
    """

    step = torch.no_grad()(unwrap(torch.optim.SGD.step))
    add_param_group = unwrap(torch.optim.SGD.add_param_group)
    zero_grad = unwrap(torch.optim.SGD.zero_grad)
    state_dict = unwrap(torch.optim.SGD.state_dict)
    load_state_dict = unwrap(torch.optim.SGD.load_state_dict)


def optimiser(parameters: Iterable[torch.nn.Parameter], rate: float, options: dict[str, Any]) -> torch.optim.Optimizer:
    """SGD whose L2 penalty is coupled with the rate; on a GPU one that a CUDA graph can hold.

    There it is fused, its rate is a tensor and its momentum is there from the beginning: 0.9 times nothing, and the
    gradient, is the gradient. A CPU would gain nothing by it, and round differently.
    """
    parameters, chosen = list(parameters), {key: options[key] for key in ("momentum", "weight_decay")}
    if not parameters[0].is_cuda:
        return SGD(parameters, lr=rate, **chosen)
    optimiser = SGD(parameters, lr=torch.tensor(rate, device=parameters[0].device), fused=True, **chosen)
    if options["momentum"] > 0:
        for parameter in parameters:
            optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimiser
