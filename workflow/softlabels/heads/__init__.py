"""Linear heads on the features of a frozen network."""
