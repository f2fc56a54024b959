"""Runs that differ only in numbers, trained together as one batched model."""
