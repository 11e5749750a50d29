"""Losses: ``loss(logits [B, C], target [B, C], index [B], state) -> float32 [B]``; weights and mean are the loop's."""
