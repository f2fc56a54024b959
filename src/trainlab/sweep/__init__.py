"""Sweeps: what is to be done, as data, and the processes that do it."""
