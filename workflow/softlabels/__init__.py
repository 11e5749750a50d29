"""softlabels: what changes when an image classifier learns from label distributions instead of hard labels."""

__version__ = "0.1.0"
