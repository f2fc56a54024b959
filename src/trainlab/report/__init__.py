"""Comparison of finished runs, from what they left on disk."""
