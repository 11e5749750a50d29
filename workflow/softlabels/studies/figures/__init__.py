"""Figures of a study, one module each: ``draw(config, inputs) -> Figure``.

``ENTRY["needs"]`` names the inputs, ``ENTRY["per"]`` whether there is one for each ``block`` (data set, split and
recipe) or one for the ``study``.
"""
