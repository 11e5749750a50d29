"""Metrics, one module each: ``metric(aligned, options)`` gives one value an item, float64 ``[n]``.

The mean of the values is the metric. They are the items' own terms where it is a mean over items, and the metric plus
each item's influence on it where it is not (:mod:`..influence`). See :class:`..aligned.Aligned`.
"""
