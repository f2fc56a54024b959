"""Trainings that differ only in numbers, as one batched model."""
