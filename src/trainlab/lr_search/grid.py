"""A population over a logarithmic grid of rates, losers dropped by successive halving, refined around the best."""

import logging
import math
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from tqdm.auto import tqdm

from trainlab.lr_search.found import Found, NothingFound, Train, Trial, check_at_least, check_range
from trainlab.lr_search.suggestions import log_spaced
from trainlab.module import Classifier, Diverged
from trainlab.population.together import LeftOut, Member, Population
from trainlab.randomness import derive_seed

log = logging.getLogger(__name__)
Tried = dict[float, list[float]]  # validation losses after each epoch by rate; an infinite one ends them


class Grid:
    """Trains with each of several rates for a few epochs and takes the one with the lowest validation loss.

    An epoch halves them (successive halving; Jamieson, Talwalkar, 2016), in steps after each validation. Then rates
    between the best one and its neighbours are tried in the same way. What counts is the lowest loss that a rate has
    come to, as for the checkpoint that a run keeps; single ones scatter.

    Args:
        min_lr: lowest rate.
        max_lr: highest rate.
        num_rates: from the one to the other, each the same multiple of the one before.
        epochs: that the last ones are trained for; a schedule spans them.
        validations_per_epoch: that a rate is judged by, and at which the worst ones are dropped.
        num_refined: rates tried on each side of the best one, between it and its neighbour.
        seed: that the trainings follow from; not that of the run.
        cache_dir: where what was found is kept.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        *,
        cache_dir: str,
        min_lr: float = 1e-5,
        max_lr: float = 1e-1,
        num_rates: int = 12,
        epochs: int = 2,
        validations_per_epoch: int = 2,
        num_refined: int = 1,
        seed: int = 0,
    ) -> None:
        check_range(min_lr, max_lr)
        check_at_least(2, num_rates=num_rates)
        check_at_least(1, epochs=epochs, validations_per_epoch=validations_per_epoch)
        check_at_least(0, num_refined=num_refined)
        self.rates, self.num_refined = log_spaced(min_lr, max_lr, num_rates), num_refined
        self.epochs, self.parts = epochs, validations_per_epoch
        self.seed, self.cache_dir = seed, cache_dir

    def search(self, train: Train, alone: str = "") -> Found:
        """Search; see `Search`."""
        if alone:
            log.info("rates are tried one after the other, which takes longer: %s", alone)
        around = min(2, len(self.rates) - 1) * self.num_refined
        with _Progress(sum(self._going_on(len(self.rates))) + sum(self._going_on(around))) as progress:
            tried = self._try(self.rates, train, not alone, progress)
            between = refined(self.rates, best_of(tried), self.num_refined)
            tried |= self._try(between, train, not alone, progress)
        best = best_of(tried)
        log.info("%s has the lowest validation loss, %.4f", f"{best:.2e}", min(tried[best]))
        if best in (self.rates[0], self.rates[-1]):
            log.warning("that is the end of the range; a better rate may lie beyond lr_search.min_lr or max_lr")
        rates = sorted(tried)
        losses = [[loss if math.isfinite(loss) else None for loss in tried[lr]] for lr in rates]
        return Found("grid", best, "lowest", {"lowest": best}, {"lr": rates, "losses": losses})

    def _going_on(self, rates: int) -> list[int]:
        """How many of the rates make each part of an epoch, from one validation to the next."""
        return [math.ceil(rates / 2 ** (part / self.parts)) for part in range(self.epochs * self.parts)]

    def _try(self, rates: Sequence[float], train: Train, stacked: bool, progress: "_Progress") -> Tried:
        """Train with each of ``rates``, the best ones to the end. To Lightning a part of an epoch is one."""
        watches, going_on = [_Watch(progress) for _ in rates], self._going_on(len(rates))

        def choose(waiting: list[int]) -> list[int]:
            part = len(watches[waiting[0]].losses)
            ranking = sorted(waiting, key=lambda number: min(watches[number].losses, default=0.0))
            chosen = ranking[: going_on[part]]
            if part:
                best, loss = rates[ranking[0]], min(watches[ranking[0]].losses)
                told = "after %g of %d epochs: best of %d rates %.2e, validation loss %.4f; %d go on"
                log.info(told, part / self.parts, self.epochs, len(waiting), best, loss, len(chosen))
            return chosen

        def work(lr: float, watch: _Watch, member: Member) -> None:
            seed = derive_seed(self.seed, "lr_search")
            callbacks = [watch] if stacked else [_Turn(member), watch]
            try:
                train(Trial(lr, seed, callbacks, {"max_epochs": self.epochs * self.parts}, 1 / self.parts), member)
            except LeftOut:
                pass
            except Diverged:
                watch.losses.append(math.inf)

        works = [partial(work, lr, watch) for lr, watch in zip(rates, watches, strict=True)]
        population = Population(works, choose, progress.step, stacked, at_once=True)
        outcomes = population.run()
        if population.interrupted:
            raise KeyboardInterrupt
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return {lr: watch.losses for lr, watch in zip(rates, watches, strict=True)}


def best_of(tried: Tried) -> float:
    """The rate with the lowest loss among those that were trained longest without diverging.

    Raises:
        NothingFound: all diverged.
    """
    finite = {lr: losses for lr, losses in tried.items() if losses and math.isfinite(losses[-1])}
    if not finite:
        raise NothingFound(
            f"no learning rate from {min(tried):.2g} to {max(tried):.2g} has a finite validation loss; "
            "set lr_search.min_lr lower or trainer.gradient_clip_val=1"
        )
    longest = max(map(len, finite.values()))
    return min((lr for lr in finite if len(finite[lr]) == longest), key=lambda lr: min(finite[lr]))


def refined(rates: Sequence[float], best: float, count: int) -> list[float]:
    """``count`` rates between ``best`` and each of its neighbours among ``rates``, log-spaced."""
    place = list(rates).index(best)
    neighbours = [*rates[max(0, place - 1) : place], *rates[place + 1 : place + 2]]
    return sorted(lr for neighbour in neighbours for lr in log_spaced(best, neighbour, count + 2)[1:-1])


class _Watch(Callback):
    """Validation losses of a training, one an epoch."""

    def __init__(self, progress: "_Progress") -> None:
        self.losses: list[float] = []
        self._progress = progress

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell how many steps an epoch has."""
        self._progress.steps_known(int(trainer.num_training_batches))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the loss."""
        assert isinstance(pl_module, Classifier)
        if "val/loss" not in pl_module.val_metrics:
            raise ValueError("lr_search=grid is scored by validations; set trainer.limit_val_batches=1.0")
        self.losses.append(pl_module.val_metrics["val/loss"])


class _Turn(Callback):
    """Lets a member that makes its epochs by itself wait for its turn before each."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait."""
        assert isinstance(pl_module, Classifier)
        self._member.train_epoch(pl_module)

    def on_train_batch_start(self, *_: Any) -> None:
        """End where all are to end."""
        self._member.check()


class _Progress:
    """A bar over the steps of all rates, where there is a terminal.

    Args:
        epochs: Lightning's, of all rates together.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._bar = tqdm(desc="learning rates", unit="step", leave=False, disable=not sys.stderr.isatty())

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def steps_known(self, steps: int) -> None:
        """Of an epoch."""
        self._bar.total = self._epochs * steps

    def step(self, rates: int) -> None:
        """So many rates make a step."""
        self._bar.update(rates)
