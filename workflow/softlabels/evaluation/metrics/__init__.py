"""Metrics, one module each: ``metric(reference [N, C], log_prediction [N, C]) -> float``, both float64."""
