"""The whole exercise: what it trains and measures, and the page that answers its questions from the figures."""
