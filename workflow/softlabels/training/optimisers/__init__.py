"""Optimisers: ``optimiser(parameters, rate, options) -> torch.optim.Optimizer``; the rate of each step is the loop's.

The loop writes it into ``lr`` where that is a tensor, else it replaces ``lr``.

Its ``state_dict`` must hold all that a resumed training needs: tensors, numbers, strings and containers of them.
"""
