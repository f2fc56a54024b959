"""Which runs form a population, over sweeps drawn at random and rule by rule."""

import random
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conftest import first
from trainlab.config.compose import compose
from trainlab.config.resolvers import PROJECT
from trainlab.population.eligibility import CONVOLUTIONAL, TRAINER_SETTINGS, ineligible_reason
from trainlab.population.grouping import comparable, differing
from trainlab.sweep.plan import RUN, UNMATCHED, Job, plan


def job(number: int, settings: dict, ineligible_reason: str = "") -> Job:
    return Job(number, (), Path("nowhere"), "f", RUN, settings=settings, ineligible_reason=ineligible_reason)


def groups(jobs: Iterable[Job], most: int | None = None) -> list[tuple[tuple[int, ...], str]]:
    """Numbers of the jobs of each item of a plan, and why a job runs solo."""
    return [(tuple(one.number for one in item.jobs), item.reason) for item in plan([*jobs], most)]


@cache
def composed(*options):
    """`train.yaml` with options of groups, unresolved."""
    return OmegaConf.create(compose(["name=run", "run_dir=nowhere", *options]).references)


@cache
def config(*overrides):
    """The resolved configuration of a run with overrides, of groups first."""
    options = [o for o in overrides if (PROJECT / "conf" / o.partition("=")[0]).is_dir()]
    settings = [o.lstrip("+") for o in overrides if o not in options and not o.startswith("~")]
    plain = OmegaConf.to_container(OmegaConf.merge(composed(*options), OmegaConf.from_dotlist(settings)), resolve=True)
    for key in (o.removeprefix("~").split(".") for o in overrides if o.startswith("~")):
        del plain[key[0]][key[1]]
    return plain


# What settings can be in a sweep: values that one population can have are in one list, kinds of them in several.
KINDS = {
    "seed": [[1, 2, 3]],
    "task.label_smoothing": [[0, 0.1]],
    "optim.lr": [[1, 1e-3, 1e-4]],
    "optim.betas": [[[0.9, 0.999], [0.8, 1 / 3]]],
    "optim.nesterov": [[True], [False]],
    "optim.momentum": [[0, 0.0], [0.9, 1]],
    "optim._target_": [["torch.optim.SGD"], ["torch.optim.Adam"]],
    "scheduler.patience": [[2, 5, 5.0]],
    "scheduler.mode": [["min"], ["max"]],
    "model.width": [[16], [17]],
    "model.batch_norm": [[True], [False]],
    "model.dropout": [[0.0, 0], [0.1, 0.5]],
    "model.initializer_scale": [[0.5, 1.0, 2]],
    "callbacks.early_stopping.patience": [[2, 3]],
    "trainer.max_epochs": [[2, 3, 4]],
    "trainer.gradient_clip_val": [[None, 0], [1.0, 2]],
    "trainer.accelerator": [["cpu"], ["gpu"]],
    "compile": [[True], [False]],
    "data.batch_size": [[16], [32]],
}


def drawn(draw: random.Random) -> tuple[list[Job], dict[int, tuple]]:
    """Jobs of a sweep over a few settings, and by number what decides with whom each goes."""
    swept = draw.sample(sorted(KINDS), draw.randint(1, 5))
    jobs, kinds = [], {}
    for number in draw.sample(range(1000), draw.randint(1, 40)):
        settings, kind = {key: KINDS[key][0][0] for key in KINDS}, []
        for key in swept:
            which = draw.randrange(len(KINDS[key]))
            settings[key] = draw.choice(KINDS[key][which])
            kind.append(which)
        reason = "a reason" if draw.random() < 0.1 else ""
        jobs.append(job(number, settings, reason))
        kinds[number] = ("ineligible", number) if reason else tuple(kind)
    return jobs, kinds


def test_any_sweep():
    wrong = {}
    for seed in range(300):
        try:
            check_groups_of_a_drawn_sweep(random.Random(seed))
        except AssertionError as error:
            wrong[seed] = str(error)
    assert wrong == {}


def check_groups_of_a_drawn_sweep(draw: random.Random) -> None:
    jobs, kinds = drawn(draw)
    by_number = {one.number: one for one in jobs}
    whole, most = groups(jobs), draw.randint(2, 10)

    assert sorted(n for numbers, _ in whole for n in numbers) == sorted(by_number)  # each in one
    assert {frozenset(numbers) for numbers, _ in whole} == {
        frozenset(n for n in kinds if kinds[n] == kind) for kind in kinds.values()
    }
    assert [numbers[0] for numbers, _ in whole] == sorted(numbers[0] for numbers, _ in whole)
    assert all(list(numbers) == sorted(numbers) for numbers, _ in whole)
    for numbers, reason in whole:
        alone = by_number[numbers[0]].ineligible_reason or UNMATCHED
        assert reason == (alone if len(numbers) == 1 else "")
    assert groups(draw.sample(jobs, len(jobs))) == whole

    capped = groups(jobs, most)
    assert sorted(n for numbers, _ in capped for n in numbers) == sorted(by_number)
    assert all(len(numbers) <= most for numbers, _ in capped)
    assert all((len(numbers) == 1) == bool(reason) for numbers, reason in capped)
    for numbers, _ in whole:
        pieces = [part for part, _ in capped if set(part) <= set(numbers)]
        assert tuple(n for piece in pieces for n in piece) == numbers
        assert len(pieces) == -(-len(numbers) // most)  # as few as there can be
        assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


@pytest.mark.parametrize("most, sizes", [(None, [7]), (7, [7]), (3, [2, 2, 3]), (4, [3, 4])])
def test_parts_are_nearly_equal(most, sizes):
    found = groups((job(number, {}) for number in range(7)), most)
    assert [len(numbers) for numbers, _ in found] == sizes


TOGETHER = [
    "seed=2",
    "model.seed=7",
    "data.seed=7",
    "data.split_seed=3",
    "task.label_smoothing=0.1",
    "optim.lr=1",
    "optim.betas=[0.5,0.6]",
    "optim.eps=1",
    "optim.weight_decay=0.1",
    "optim.momentum_decay=0",
    "model.initializer=lecun_uniform",
    "model.output_initializer=he_normal",
    "model.initializer_scale=2",
    "model.initializer_truncated=true",
    "callbacks.early_stopping.patience=3",
    "callbacks.early_stopping.monitor=val/acc",
    "callbacks.early_stopping=null",
    "callbacks.checkpoint.monitor=val/acc",
    "callbacks.figures.num_images=4",
    "trainer.max_epochs=5",
    "trainer.min_epochs=2",
    "trainer.gradient_clip_val=0",
    "logger.csv=null",
    "name=other",
    "sweep.jobs=3",
]
APART = [
    "optim=adam",
    "optim=adamw",
    "+optim.amsgrad=true",
    "optim.decoupled_weight_decay=true",
    "scheduler=plateau",
    "model.depth=4",
    "model.activation=relu",
    "model.batch_norm=true",
    "model.batch_norm_momentum=0.2",
    "model.batch_norm_eps=1e-3",
    "model.dropout=0.1",
    "model.standardize=true",
    "data.batch_size=64",
    "data.flip=true",
    "data=shapes",
    "data.root=/elsewhere",
    "trainer.gradient_clip_val=1",
    "trainer.gradient_clip_algorithm=value",
    "trainer.limit_val_batches=0.5",
    "trainer.precision=64-true",
    "trainer.accelerator=cpu",
    "compile=true",
]


@pytest.mark.parametrize("override", TOGETHER + APART)
def test_what_goes_with_the_defaults(override):
    configs = [config(), config(override)]
    assert [ineligible_reason(own, 1) for own in configs] == ["", ""]
    made = groups(job(number, comparable(own)) for number, own in enumerate(configs))
    assert made == ([((0, 1), "")] if override in TOGETHER else [((0,), UNMATCHED), ((1,), UNMATCHED)])


@pytest.mark.parametrize(
    "shared, one, other, together",
    first(
        4,
        [
            (["optim=sgd"], "optim.momentum=0.9", "optim.momentum=0.5", True),
            (["optim=sgd"], "optim.momentum=0.9", "optim.momentum=0", False),
            (["optim=rmsprop"], "optim.alpha=0.9", "optim.alpha=0", True),
            (["model=alpha_dropout"], "model.dropout=0.1", "model.dropout=0.2", True),
            (["scheduler=one_cycle"], "scheduler.pct_start=0.3", "scheduler.pct_start=0.5", True),
            (["scheduler=one_cycle"], "scheduler.three_phase=true", "scheduler.three_phase=false", False),
            (["scheduler=one_cycle"], "scheduler.max_momentum=0", "scheduler.max_momentum=0.9", False),
            (["scheduler=plateau"], "scheduler.patience=0", "scheduler.patience=3", True),
            (["scheduler=plateau"], "scheduler.monitor=val/acc", "scheduler.monitor=val/loss", False),
            (["scheduler=cosine"], "scheduler.warmup_steps=0", "scheduler.warmup_steps=10", True),
            (["trainer.gradient_clip_val=1"], "trainer.gradient_clip_val=2", "trainer.gradient_clip_val=0.5", True),
            (["data=image_folder", "data.root=/a"], "data.cache_dir=/a", "data.cache_dir=/a", True),
            (["data=image_folder", "data.root=/a"], "data.cache_dir=/a", "data.cache_dir=/b", False),
        ],
    ),
)
def test_zero_is_another_kind_where_it_switches_something_off(shared, one, other, together):
    pair = [job(i, comparable(config(*shared, override))) for i, override in enumerate((one, other))]
    assert (len(groups(pair)) == 1) is together


def test_arguments_of_a_users_task_must_be_the_same():
    """Only `Classification` computes losses of members with their own label smoothing."""
    shares = [0.0, 0.6, 0.0]
    tasks = [[f"task.label_smoothing={share}", f"seed={seed}"] for seed, share in enumerate(shares)]
    for target, expected in {
        "my.Smoothed": [((0, 2), ""), ((1,), UNMATCHED)],
        "trainlab.tasks.Classification": [((0, 1, 2), "")],
    }.items():
        jobs = [job(i, comparable(config(f"task._target_={target}", *own))) for i, own in enumerate(tasks)]
        assert groups(jobs) == expected


OUTSIDE = "and batches of a population are trained outside Lightning's loop"


@pytest.mark.parametrize(
    "override, reason",
    [
        ("model=cnn", CONVOLUTIONAL),
        ("model._target_=my.Net", "model is my.Net, and is not tried without data"),
        (
            "optim._target_=torch.optim.Adagrad",
            "optim is torch.optim.Adagrad, which is not batched; Adam, AdamW, NAdam, RMSprop and SGD of torch are",
        ),
        ("+optim.maximize=true", "optim.maximize is set, and batched steps minimize"),
        ("+optim.maximize=false", ""),
        ("data.transforms=[{_target_: my.Transform}]", "data.transforms is set, and these are drawn image by image"),
        ("trainer.max_steps=100", ""),
        ("trainer.max_time=00:01:00:00", "trainer.max_time is set, and the time of a member depends on the others"),
        (
            "trainer.accumulate_grad_batches=2",
            "trainer.accumulate_grad_batches is set, and batched steps have one batch each",
        ),
        ("trainer.overfit_batches=10", "trainer.overfit_batches is set, and members train on all batches"),
        ("trainer.profiler=simple", "trainer.profiler is set, and the time of a step is that of all members"),
        ("~trainer.precision", ""),
        (
            "trainer.precision=16-mixed",
            "trainer.precision is 16-mixed, and batched steps are in float32, float64 or bfloat16",
        ),
        (
            "trainer.precision=16-true",
            "trainer.precision is 16-true, and batched steps are in float32, float64 or bfloat16",
        ),
        ("trainer.precision=bf16-mixed", ""),
        ("trainer.precision=64", ""),
        ("trainer.limit_train_batches=0", "trainer.limit_train_batches is 0, so there are no steps"),
        ("trainer.limit_train_batches=0.5", ""),
        ("trainer.max_epochs=0", "trainer.max_epochs is 0, so there are no steps"),
        ("trainer.max_epochs=null", ""),
        ("trainer.strategy=fsdp", "trainer.strategy is fsdp, and a population is one process"),
        ("trainer._target_=my.Trainer", "trainer is my.Trainer, and a population needs lightning.Trainer"),
        (
            "+trainer.val_check_interval=0.5",
            "trainer.val_check_interval is set, which is not known to work in a population",
        ),
        ("ckpt_path=last", "ckpt_path is set, and members start anew or from their own checkpoint"),
        (
            "+callbacks.mine={_target_: my.Callback}",
            "callbacks.mine is my.Callback, and batches of a population are trained outside Lightning's loop",
        ),
        (
            "callbacks.early_stopping._target_=my.Stop",
            "callbacks.early_stopping is my.Stop, and batches of a population are trained outside Lightning's loop",
        ),
        ("+logger.mine={_target_: my.Logger}", "logger.mine is my.Logger, which may log for one run of a process only"),
        ("logger.csv=null", ""),
    ],
)
def test_ineligible_members(override, reason):
    assert ineligible_reason(config(override), devices=1) == reason


def test_runs_on_several_devices_are_ineligible():
    assert ineligible_reason(config(), devices=2) == "trainer.devices is 2, and a population has one"


def test_settings_of_the_trainer_are_those_of_its_option():
    assert set(TRAINER_SETTINGS) == set(OmegaConf.load(PROJECT / "conf" / "trainer" / "auto.yaml"))


def test_optimizers_are_those_whose_step_is_known():
    import torch

    from trainlab.population.eligibility import OPTIMIZERS
    from trainlab.training.optimizers import rule_for

    every = [value for value in vars(torch.optim).values() if isinstance(value, type)]
    known = set()
    for kind in every:
        if kind is torch.optim.Optimizer or not issubclass(kind, torch.optim.Optimizer):
            continue
        try:
            rule_for(kind([torch.nn.Parameter(torch.zeros(1, 1))], lr=0.1))
        except ValueError:
            continue
        known.add(f"torch.optim.{kind.__name__}")
    assert known == set(OPTIMIZERS)


@pytest.mark.parametrize(
    "overrides, names",
    [
        ([["seed=1"], ["seed=2"]], ["seed"]),
        ([["seed=1"], ["seed=2", "model.seed=5"]], ["seed", "model.seed"]),
        ([["model.seed=1"], ["model.seed=2"]], ["model.seed"]),
        ([["optim.lr=1e-3", "seed=2"], ["optim.lr=1e-4"]], ["seed", "optim.lr"]),
        ([["optim.betas=[0.9,0.99]"], ["optim.betas=[0.9,0.999]"]], ["optim.betas"]),
        ([["callbacks.early_stopping.patience=2"], []], ["callbacks.early_stopping.patience"]),
        ([["callbacks.early_stopping=null"], []], ["callbacks.early_stopping"]),
        ([["trainer.max_epochs=3"], ["trainer.min_epochs=1"]], ["trainer.max_epochs", "trainer.min_epochs"]),
        ([["optim.weight_decay=0"], ["optim.weight_decay=0.0"]], []),
    ],
)
def test_members_differ_in(overrides, names):
    assert differing([comparable(config(*own)) for own in overrides]) == names


def test_a_batch_and_all_batches_do_not_go_together():
    settings = [comparable(config(f"trainer.limit_train_batches={limit}")) for limit in ("1", "1.0", "1")]
    found = groups(job(number, one) for number, one in enumerate(settings))
    assert [numbers for numbers, _ in found] == [(0, 2), (1,)]


def test_runs_whose_splits_and_searches_follow_the_seed_form_one_population():
    shared = ("name=run", "run_dir=nowhere", "data=shapes", "lr_search=grid", "vary=[split,search]")
    members = [comparable(compose([*shared, f"seed={seed}"]).settings) for seed in (1, 2, 3)]
    assert groups(map(job, range(3), members)) == [((0, 1, 2), "")]
    assert differing(members) == ["seed"]
