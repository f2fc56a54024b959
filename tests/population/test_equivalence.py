"""A member equals its solo run after 100 or 200 steps: checkpoints, rows and results."""

import pytest
from members import alone, assert_same_run, together

from conftest import cases, first

MODELS = {
    "elu_he": ["model=elu_he"],
    "bn": ["model=bn"],
    "selu_lecun": ["model=selu_lecun"],
    "alpha_dropout": ["model=alpha_dropout"],
    "alpha dropout after every layer": ["model=alpha_dropout", "model.dropout_after=every"],
    "standard dropout": ["model=elu_he", "model.dropout_kind=standard"],
}
OPTIMIZERS = {  # overrides, and rates that train without blowing up
    "nadam": (["optim=nadam"], (1e-3, 5e-4)),
    "adam": (["optim=adam"], (1e-3, 5e-4)),
    "adamw": (["optim=adamw"], (1e-3, 5e-4)),
    "sgd": (["optim=sgd"], (5e-3, 1e-2)),
    "nesterov": (["optim=sgd", "optim.nesterov=true"], (5e-3, 1e-2)),
    "rmsprop": (["optim=rmsprop", "optim.momentum=0.9"], (1e-4, 5e-5)),
    "centered": (["optim=rmsprop", "optim.centered=true"], (3e-4, 1e-4)),  # large quotients, large rounding
}
# Where each member has its own: weight decay, averages, smoothing, a run half as long, so another schedule.
OWN = ["seed=2", "optim.weight_decay=0.01", "task.label_smoothing=0.1", "trainer.max_epochs=1"]
OWN_OF = {
    "adam": ["optim.betas=[0.8,0.99]"],
    "sgd": ["optim.momentum=0.8"],
    "nesterov": ["optim.momentum=0.8"],
    "rmsprop": ["optim.momentum=0.8", "optim.alpha=0.95"],
    "centered": ["optim.alpha=0.95", "optim.eps=1e-6"],
    "one_cycle": ["scheduler.pct_start=0.4", "scheduler.div_factor=10", "scheduler.base_momentum=0.8"],
}


def members(model, optimizer, schedule):
    """Overrides of two runs that form a population."""
    overrides, rates = OPTIMIZERS[optimizer]
    common = [*MODELS[model], *overrides, f"scheduler={schedule}", "trainer.max_epochs=2"]
    first = [*common, f"optim.lr={rates[0]}"]
    kind = "adam" if "adam" in optimizer else optimizer
    second = [*common, f"optim.lr={rates[1]}", *OWN, *OWN_OF[kind], *OWN_OF.get(schedule, [])]
    if "dropout" in model:
        first, second = [*first, "model.dropout=0.1"], [*second, "model.dropout=0.2"]
    return [first, second]


def assert_equal(works, folder, tolerance=1e-9):
    """Each of the works has the same results solo and as a member."""
    for result in together({folder / f"together_{i}": work for i, work in enumerate(works)}):
        if isinstance(result, BaseException):
            raise result
    for i, work in enumerate(works):
        result = alone(folder / f"alone_{i}", *work)
        assert not isinstance(result, BaseException), result
        assert_same_run(folder / f"together_{i}", folder / f"alone_{i}", tolerance)


# Each optimizer under each schedule, and each model with some: an optimizer sees one vector, whatever the model.
CELLS = [
    ("bn", "adam", "one_cycle"),  # these two by default
    ("alpha_dropout", "sgd", "one_cycle"),
    ("elu_he", "nadam", "constant"),
    ("bn", "nadam", "one_cycle"),
    ("alpha_dropout", "adam", "constant"),
    ("alpha dropout after every layer", "adamw", "constant"),
    ("standard dropout", "adamw", "one_cycle"),
    ("bn", "sgd", "constant"),
    ("selu_lecun", "nesterov", "constant"),
    ("alpha_dropout", "nesterov", "one_cycle"),
    ("standard dropout", "rmsprop", "constant"),
    ("alpha dropout after every layer", "rmsprop", "one_cycle"),
    ("selu_lecun", "centered", "constant"),
    ("bn", "centered", "one_cycle"),
]


@pytest.mark.parametrize(("model", "optimizer", "schedule"), first(2, CELLS))
def test_models_optimizers_and_schedules(model, optimizer, schedule, tmp_path):
    assert_equal(members(model, optimizer, schedule), tmp_path)


NADAM = ["optim=nadam", "optim.lr=1e-3"]
SGD = ["optim=sgd", "optim.lr=5e-3"]
# What all members have, and what each has of its own.
MORE = {
    "prelu": ([*NADAM, "model.activation=prelu"], [["seed=1"], ["optim.lr=2e-3"]]),
    "rrelu": ([*SGD, "model.activation=rrelu"], [["seed=1"], ["seed=2"]]),
    "batch_norm_input": ([*NADAM, "model=bn", "model.batch_norm_input=true"], [["seed=1"], ["seed=2"]]),
    "initializers": (
        [*NADAM],
        [
            *(
                ["model.initializer=he_uniform"],
                ["model.initializer_scale=0.5"],
                ["model.output_initializer=he_normal"],
            ),
            *(["model.bias_initializer=normal"], ["model.bias_initializer=constant", "model.bias_scale=0.01"]),
        ],
    ),
    "cosine after warmup": (
        [*NADAM, "scheduler=cosine"],
        [["scheduler.warmup_steps=20"], ["scheduler.warmup_steps=70", "scheduler.min_lr=1e-4"]],
    ),
    # Only an epoch that halves the loss counts as better, so rates fall after the second epoch or the third.
    "plateau": (
        [*NADAM, "scheduler=plateau", "scheduler.threshold=0.5"],
        [["scheduler.patience=0"], ["scheduler.patience=1", "scheduler.factor=0.1"]],
    ),
    "one cycle in three phases": (
        [*SGD, "scheduler=one_cycle", "scheduler.three_phase=true", "scheduler.anneal_strategy=linear"],
        [["scheduler.max_momentum=0.9"], ["scheduler.final_div_factor=10", "optim.momentum=0.5"]],
    ),
    # Norms of the gradient are 2 to 30 here.
    "clipped by norm": ([*SGD], [["trainer.gradient_clip_val=1"], ["trainer.gradient_clip_val=5"]]),
    "clipped by value": (
        [*SGD, "trainer.gradient_clip_algorithm=value"],
        [["trainer.gradient_clip_val=0.01"], ["trainer.gradient_clip_val=0.1"]],
    ),
    "amsgrad": (["optim=adam", "optim.amsgrad=true"], [["optim.lr=1e-3"], ["optim.lr=2e-3"]]),
    "decoupled decay": (
        [*NADAM, "optim.decoupled_weight_decay=true"],
        [["optim.weight_decay=0.1"], ["optim.weight_decay=0.01", "optim.momentum_decay=1e-2"]],
    ),
    "no momentum": (["optim=sgd", "optim.momentum=0"], [["optim.lr=0.01"], ["optim.lr=0.02"]]),
    "dampened": ([*SGD, "optim.nesterov=false"], [["optim.dampening=0.1"], ["optim.dampening=0.5"]]),
    "augmentation": ([*SGD, "data.flip=true", "data.crop_padding=2"], [["seed=1"], ["seed=2"], ["data.seed=2"]]),
    "more augmentation": (
        [*SGD, "data.flip=alternating", "data.crop_padding=2", "data.padding_mode=reflect", "data.cutout=5"],
        [["seed=1"], ["seed=2", "data.seed=1"], ["data.seed=3"]],
    ),
    "mixed images": (
        [*SGD, "data.mixup=0.5", "data.cutmix=1.0", "data.flip=true"],
        [["seed=1"], ["seed=2", "task.label_smoothing=0.1"], ["data.seed=3"]],
    ),
    "sanity validation": ([*SGD, "model=bn", "trainer.num_sanity_val_steps=2"], [["seed=1"], ["seed=2"]]),
    "a part of the batches": ([*SGD, "trainer.limit_train_batches=7"], [["seed=1"], ["seed=2"]]),
    "splits": (
        [*NADAM, "model=selu_lecun", "trainer.max_epochs=1"],
        [["data.split_seed=1"], ["seed=2", "data.split_seed=2"]],
    ),
    "splits, one of which leaves": (
        [*NADAM, "model=selu_lecun"],
        [["data.split_seed=1", "trainer.max_epochs=2"], *(["seed=2", f"data.split_seed={seed}"] for seed in (2, 3))],
    ),
    "as in Keras": (
        ["optim=nadam_keras", "model=bn", "model.batch_norm_order=after", "model.batch_norm_eps=1e-3"],
        [["model.initializer_truncated=true"], ["seed=2", "optim.momentum_decay=4e-3"]],
    ),
    "best by accuracy": (
        [*SGD],
        [["callbacks.checkpoint.monitor=val/acc"], ["callbacks.early_stopping=null"]],
    ),
}


@pytest.mark.parametrize("case", cases(MORE, "plateau", "splits"))
def test_what_a_few_trainings_have(case, tmp_path):
    common, own = MORE[case]
    assert_equal([[*common, *settings] for settings in own], tmp_path)


FULL = [
    *("model.depth=20", "model.width=100", "data.image_size=32", "data.num_train=1699", "data.batch_size=32"),
    "trainer.max_epochs=2",
]
FOUR = ("elu_he", "bn", "selu_lecun", "alpha_dropout")
# Twenty layers amplify. At 3e-4 a solo run of elu_he with NAdam differs by 1e-2 after 200 steps from one whose rate is
# the next floating-point number, and one of bn by 1e-3; at 5e-5 by 4e-15 and 1e-11. With SGD it is 1 at 5e-3.
TRAINED = {
    "nadam": ["optim=nadam", "optim.lr=5e-5"],
    "sgd one_cycle": ["optim=sgd", "optim.lr=5e-4", "scheduler=one_cycle"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "trained"), [*zip(FOUR, [*TRAINED, *reversed(TRAINED)], strict=True)])
def test_networks_of_full_size(model, trained, tmp_path):
    common = [f"model={model}", *FULL, *TRAINED[trained]]
    assert_equal([common, [*common, "seed=2", "task.label_smoothing=0.1"]], tmp_path)
