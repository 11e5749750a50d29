"""Which perplexity t-SNE is given; no library is imported, as the check before a run asks, too."""


def fitting(perplexity: float, n: int) -> float:
    """The perplexity, or a third of the ``n`` items where these are too few: t-SNE wants three times as many."""
    return perplexity if perplexity < n else max(1.0, float(n // 3))
