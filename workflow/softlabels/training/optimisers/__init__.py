"""Optimisers: ``optimiser(parameters, rate, options)``; the loop sets the rate of each step."""
