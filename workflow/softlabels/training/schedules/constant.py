"""The same rate throughout."""


def factor(epoch: float, epochs: float, options: dict) -> float:
    """1."""
    return 1.0
