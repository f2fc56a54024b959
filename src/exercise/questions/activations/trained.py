"""The sweep over all activations, and its groups by name."""

from exercise.formatting import with_label
from exercise.store import Evidence
from exercise.trainings import Sweep, experiments
from trainlab.report import Group

NAMES = {
    "selu": "SELU",
    "elu": "ELU",
    "relu": "ReLU",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "rrelu": "RReLU",
    "gelu": "GELU",
    "silu": "Swish",
    "mish": "Mish",
    "tanh": "tanh",
    "sigmoid": "logistic",
}
ALL = Sweep(
    "question_4_activations",
    (
        experiments("question_4_activations"),
        f"model.activation={','.join(NAMES)}",
        *("lr_search=coarse", "seed=1,2,3", "callbacks.figures=null", "logger.tensorboard=null"),
    ),
    quick=("model.activation=selu,relu,sigmoid", "model.depth=8", "trainer.limit_train_batches=20"),
)


def groups_by_activation(evidence: Evidence) -> dict[str, Group]:
    """A group an activation, as far as it was trained; in the order of ``NAMES``.

    Raises:
        NotYet: a run has not ended.
    """
    found = {group.settings["model.activation"]: group for group in evidence.ended_groups(ALL)}
    return {key: with_label(found[key], name) for key, name in NAMES.items() if key in found}
