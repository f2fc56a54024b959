"""What is trained to show the mistakes: three passes over the images, since that is enough to see them."""

from collections.abc import Sequence

from exercise.formatting import with_label
from exercise.store import Evidence
from exercise.trainings import Sweep, experiments
from trainlab.report import Group

NOTE = (
    "Three passes over the images, validated after each half: the differences are of trainings that short. Accuracies "
    "are those at the lowest validation loss, which need not be the highest ones."
)
HALF_EPOCHS = "An epoch is half of the images here."
LABELS = {
    "plain_elu_he": "ELU at 1e-4",
    "mistake_learning_rate": "ELU at 1e-3",
    "plain_selu": "SELU",
    "mistake_selu_raw_inputs": "SELU on raw inputs",
    "selu_alpha_dropout_every_layer": "SELU with alpha dropout 0.1",
    "mistake_half_dropped_everywhere": "SELU with alpha dropout 0.5",
    "mistake_alpha_dropout_under_elu": "ELU with alpha dropout 0.1",
}
SWEEP = Sweep(
    "mistakes",
    (
        *(experiments(*LABELS), "seed=1,2,3"),
        *("trainer.max_epochs=6", "trainer.limit_train_batches=0.5"),
        *("callbacks.layer_statistics.every_n_epochs=6", "callbacks.step_losses.enabled=true"),
    ),
    ("callbacks.layer_statistics.every_n_epochs=2", "data.num_train=1200", "data.val_size=200", "data.num_test=200"),
)


def network(evidence: Evidence, experiment: str) -> Group:
    """The runs of one of ``LABELS``."""
    return with_label(evidence.experiment(SWEEP, experiment), LABELS[experiment])


def describe_rates(groups: Sequence[Group]) -> str:
    """The learning rates of networks, which are those that others used: nobody searched them for these networks."""
    rates = {group.label: group.settings["optim.lr"] for group in groups}
    if len(set(rates.values())) > 1:
        each = "; ".join(f"{label} {rate:g}" for label, rate in rates.items())
        return f"The learning rates are given, not searched: {each}."
    all_of, none_of = ("Both", "neither") if len(rates) == 2 else ("All", "none")
    rate = groups[0].settings["optim.lr"]
    return f"{all_of} are trained at a learning rate of {rate:g}, searched for {none_of} of them."
