"""Losses: ``loss(logits [B, C], target [B, C], index [B], state, options) -> float32 [B]``; weights, mean: the loop's.

``index`` are the items' rows. ``state`` is the loss's own from step to step, kept when a training is stopped: tensors,
numbers and strings by name. The loop puts ``items``, how many the data set has, and ``epoch`` (from 1) there.
"""
