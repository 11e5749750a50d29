"""Tables of a study, one module each: a view of the ledger, ``table(ledger, options) -> Table | None``.

None where the study has nothing to put into it.
"""
