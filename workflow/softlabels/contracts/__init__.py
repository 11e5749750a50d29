"""The files that steps hand to each other: one writer and one reader of each, which checks what it reads, once.

``reference``    what predictions are scored against
``split``        the part of each item
``labels``       what networks are trained on
``predictions``  logits of all items of a run
``features``     pooled features of its test items
``scores``       what was measured: of a run, or of rows that need no network
"""
