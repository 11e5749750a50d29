"""Schedules: ``factor(epoch, epochs, options)`` is the share of the base learning rate at a point in time.

``epoch`` counts in fractions (a step is a fraction of an epoch) from the end of the warm-up; ``epochs`` is how many
there are after it; ``options`` is the recipe's ``schedule``.
"""
