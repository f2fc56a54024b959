"""Several jobs of a sweep as one training."""

from hydra_plugins.trainlab_launcher._jobs import Jobs
from trainlab.sweep.execute import Share
from trainlab.sweep.plan import Item


def train_together(jobs: Jobs, item: Item, share: Share) -> dict[str, str] | None:
    """In the item's process: train its jobs. Returns the exception that ended all of them, if any."""
    raise NotImplementedError
