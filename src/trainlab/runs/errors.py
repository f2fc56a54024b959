"""Exceptions that decide the status of a run."""


class Diverged(ArithmeticError):
    """The training loss is not finite."""


class Interrupted(KeyboardInterrupt):
    """The run was stopped from outside; its progress is saved."""


class Held(ValueError):
    """A process that is alive writes to the folder."""


class LeaseLost(RuntimeError):
    """Another process has taken over the folder that this one writes to: this one was taken for dead."""
