"""Question 7: what dropout costs."""
