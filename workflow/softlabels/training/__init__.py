"""Training: the loop, losses, schedules, checkpoint and resume."""
