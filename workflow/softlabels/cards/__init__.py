"""What a data set is like before anything is trained: its card, for people and for programs."""
