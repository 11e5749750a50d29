"""Ways to split: each gives the part of every item, 0 (train), 1 (val) or 2 (test)."""
