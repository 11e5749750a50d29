"""From evidence (votes or exact distributions) to label distributions, and the splits."""
