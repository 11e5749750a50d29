def growing(amount):
    """MB of memory, or minutes: as much again each time that a job is tried again."""
    return lambda wildcards, attempt: amount * attempt
