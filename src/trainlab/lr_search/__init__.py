"""Learning-rate search: short trainings on the training split, before the run that uses the rate."""
