"""Question 8: one change at a time to a deep network, each tuned for itself."""
