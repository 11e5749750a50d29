"""Metrics, reference rows and statistics: numpy, no torch."""
