"""The right learning rate, found by short trainings on the training split before the run that it is for."""
