"""Every number of README's answer and of docs/findings.md, recomputed from stored predictions."""
