"""Trainings that differ only in numbers, made together as one batched model."""
