"""Question 4: all activations compared with each other, and softmax compared with logistic outputs."""
