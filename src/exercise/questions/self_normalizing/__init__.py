"""Question 3: networks that keep mean and deviation by themselves."""
