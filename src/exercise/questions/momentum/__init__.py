"""Question 5: momentum from none to nearly one, on a bowl of two dimensions and on the deep network."""
