"""The threads of a population: Ctrl-C while they start, and nothing kept of who has left."""

import functools
import gc
import os
import signal
import weakref

import pytest
from members import STEPS, alone, config, together

from trainlab.population.runner import MemberDropped, Population
from trainlab.population.stack import Stack, StackStep
from trainlab.run import run
from trainlab.training.module import TaskModule

NADAM = ("optim=nadam", "optim.lr=1e-3", "model.depth=2", "model.width=8")


def test_ctrl_c_while_members_start_holds_for_all_of_them(tmp_path):
    def work(number):
        def train(context):
            if number == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return run(config(tmp_path / str(number), *NADAM, f"seed={number}"), context)

        return train

    outcomes = Population([work(number) for number in range(4)]).run()
    assert all(isinstance(outcome, KeyboardInterrupt) for outcome in outcomes)
    epochs = [len((tmp_path / str(i) / "metrics.csv").read_text().splitlines()) - 1 for i in (0, 1)]
    assert epochs == [1, 1]
    assert not (tmp_path / "2").exists() and not (tmp_path / "3").exists()


@pytest.mark.slow
def test_nothing_is_kept_of_members_that_have_left(tmp_path, monkeypatch):
    made, init = [], TaskModule.__init__

    @functools.wraps(init)  # whose signature says what it takes
    def noted(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made.append(weakref.ref(self))

    monkeypatch.setattr(TaskModule, "__init__", noted)
    left = []

    def watched(context, folder, epochs):
        result = run(config(folder, *NADAM, f"trainer.max_epochs={epochs}"), context)
        if epochs == 4:
            gc.collect()
            left.append(sum(one() is not None for one in made))
        return result

    works = [lambda context, n=n: watched(context, tmp_path / str(n), n) for n in (1, 2, 3, 4)]
    results = Population(works).run()
    failed = [result for result in results if isinstance(result, BaseException)]
    assert not failed, failed
    assert left == [1]


@pytest.mark.slow
def test_steps_without_state_are_compiled_too(tmp_path, monkeypatch):
    made, init = [], StackStep.__init__
    monkeypatch.setattr(StackStep, "__init__", lambda self, model: made.append(self) or init(self, model))
    work = ["optim=sgd", "optim.momentum=0", "optim.lr=1e-2", "model.depth=2", "model.width=8", "trainer.max_epochs=1"]
    results = together({tmp_path / str(i): [*work, f"seed={i}"] for i in range(2)}, compile=True)
    assert len(made) == 1
    for i, result in enumerate(results):
        expected = alone(tmp_path / f"{i} alone", *work, f"seed={i}")
        assert abs(result.metrics["val_loss"] - expected.metrics["val_loss"]) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [NADAM, ("optim=sgd", "optim.momentum=0", "model.depth=2", "model.width=8")])
def test_a_compiled_population_holds_no_gradients_between_its_steps(optimizer, tmp_path, monkeypatch):
    held, steps, step = [], [], Stack._step

    def watched(self, active, *rest):
        result = step(self, active, *rest)
        steps.append(len(active))
        held.append(self._gradients is not None)
        held.extend(len(member.flat.gradient) for member in self.members)
        held.extend(member.flat.parameter.grad is not None for member in self.members)
        return result

    monkeypatch.setattr(Stack, "_step", watched)
    work = [*optimizer, "data.num_train=228", "trainer.max_epochs=2"]  # 8 full batches; the last is no smaller
    folders = {tmp_path / str(i): [*work, f"seed={i}"] for i in range(2)}
    assert [getattr(result, "status", result) for result in together(folders, compile=True)] == ["completed"] * 2
    resumed = {folder: [*members, "trainer.max_epochs=3", "ckpt_path=last"] for folder, members in folders.items()}
    assert [getattr(result, "status", result) for result in together(resumed, compile=True)] == ["completed"] * 2
    assert steps == [2] * 24
    assert not any(held)


@pytest.mark.slow
def test_members_that_are_not_chosen_leave_and_the_others_are_unchanged(tmp_path):
    asked = []

    def choose(waiting):
        asked.append(waiting)
        return [number for number in waiting if number != 1 or len(asked) < 3]

    steps = []
    works = [lambda context, n=n: run(config(tmp_path / str(n), *NADAM, f"seed={n}"), context) for n in (1, 2)]
    population = Population(works, choose, steps.append)
    first, second = population.run()
    assert asked == [[0, 1], [0, 1], [0, 1], [0]]  # four epochs; the second leaves before its third
    assert isinstance(second, MemberDropped)
    assert steps == [2] * 2 * STEPS + [1] * 2 * STEPS
    assert first.metrics["epochs"] == 4
    assert abs(first.metrics["val_loss"] - alone(tmp_path / "alone", *NADAM, "seed=1").metrics["val_loss"]) < 1e-9


def test_a_population_with_nothing_to_lose_ends_at_the_first_ctrl_c(tmp_path):
    pressed = []

    def press(members):
        pressed.append(members)
        if len(pressed) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    works = [lambda context, n=n: run(config(tmp_path / str(n), *NADAM, f"seed={n}"), context) for n in (1, 2)]
    population = Population(works, before_step=press, at_once=True)
    assert all(isinstance(outcome, KeyboardInterrupt) for outcome in population.run())
    assert population.interrupted
    assert len(pressed) == 3
