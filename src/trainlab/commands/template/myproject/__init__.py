"""Networks and data sets of myproject."""
