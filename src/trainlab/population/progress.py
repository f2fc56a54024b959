"""Lightning's counts of steps, for an epoch whose steps its loops have not made."""

from lightning import Trainer


def count_epoch(trainer: Trainer, steps: int) -> None:
    """In the first batch of an epoch: count ``steps`` batches and optimizer steps, and take this one for the last."""
    loop = trainer.fit_loop.epoch_loop
    optimizer = loop.manual_optimization.optim_step_progress
    for counts in (loop.batch_progress.total, loop.batch_progress.current):
        for name in ("ready", "started", "processed", "completed"):
            setattr(counts, name, getattr(counts, name) + steps - 1)
    for counts in (optimizer.total, optimizer.current):
        counts.ready += steps
        counts.completed += steps
    loop.batch_progress.is_last_batch = True
    loop._batches_that_stepped += steps - 1
