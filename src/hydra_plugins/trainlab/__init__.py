"""Hydra plugins: a launcher of processes and the sweeper over all combinations that goes with it."""
