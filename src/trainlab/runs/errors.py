"""Exceptions that decide the status of a run."""


class Diverged(ArithmeticError):
    """The training loss is not finite."""


class Interrupted(KeyboardInterrupt):
    """The run was stopped from outside; its progress is saved."""
