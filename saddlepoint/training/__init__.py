"""The trainer: turns, averages, checkpoints, budgets, progress."""
