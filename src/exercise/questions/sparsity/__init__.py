"""Question 6: sparse models from one trained network. Each method is a function network -> network."""
