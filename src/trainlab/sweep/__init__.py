"""Sweeps: the plan as data, and the executor that runs its items in processes."""
