"""State, step, optimizers, schedules, loop and checkpoints."""
