"""Question 6: sparse models from one trained network. A method a file, each a function network -> network."""
