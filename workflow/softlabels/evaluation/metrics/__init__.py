"""Metrics, one module each: ``metric(aligned, options) -> float``; see :class:`..aligned.Aligned`."""
