"""Question 4: all activations beside each other, and softmax beside logistic outputs."""
