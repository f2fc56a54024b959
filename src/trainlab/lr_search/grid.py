"""A population over a logarithmic grid of rates, losers dropped by successive halving, refined around the best."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.console import Bar
from trainlab.lr_search.base import Found, Means, NothingFound, Search, Trial
from trainlab.lr_search.processes import Step, divided
from trainlab.lr_search.suggestions import log_spaced
from trainlab.population.runner import MemberDropped, Population
from trainlab.randomness import derive_seed
from trainlab.runs.errors import Diverged
from trainlab.training.context import RunContext
from trainlab.training.module import Classifier
from trainlab.validation import check_at_least

log = logging.getLogger(__name__)
Tried = dict[float, list[float]]  # validation losses after each epoch by rate; an infinite one ends them


class Grid(Search):
    """Trains with each of several rates for a few epochs and takes the one with the lowest validation loss.

    An epoch halves them (successive halving; Jamieson, Talwalkar, 2016), in steps after each validation. Then rates
    between the best one and its neighbours are tried in the same way, beside what the best one had come to by then.
    What counts is the lowest loss that a rate has come to, as for the checkpoint that a run keeps; single ones scatter.

    Args:
        min_lr: lowest rate.
        max_lr: highest rate.
        num_rates: from the one to the other, each the same multiple of the one before.
        epochs: that the last ones are trained for; a schedule spans them.
        validations_per_epoch: that a rate is judged by, and at which the worst ones are dropped. A schedule that counts
            epochs, like plateau, counts these.
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
        epochs: int = 3,
        validations_per_epoch: int = 2,
        num_refined: int = 1,
        seed: int = 0,
    ) -> None:
        check_at_least(2, "lr_search", num_rates=num_rates)
        check_at_least(1, "lr_search", epochs=epochs, validations_per_epoch=validations_per_epoch)
        check_at_least(0, "lr_search", num_refined=num_refined)
        super().__init__(min_lr, max_lr, num_rates, seed, cache_dir)
        self.epochs, self.parts, self.num_refined = epochs, validations_per_epoch, num_refined

    def search(self, means: Means) -> Found:
        """Search; see `Search`."""
        if means.alone:
            log.info("rates are tried one after the other, which takes longer: %s", means.alone)
        if self.parts > means.batches:
            raise ValueError(
                f"validations_per_epoch must be at most the {means.batches} batches of an epoch, got {self.parts}; "
                "set lr_search.validations_per_epoch"
            )
        parts = sum(self._going_on(len(self.rates))) + sum(self._going_on(2 * self.num_refined))
        steps = parts * self._batches(means)
        with Bar("learning rates", steps) as bar:
            tried = self._try(self.rates, {}, means, bar.update)
            best = best_of(tried)
            between = refined(self.rates, best, self.num_refined)
            tried |= self._try(between, {best: tried[best]}, means, bar.update)
        best = best_of(tried)
        log.info("%s has the lowest validation loss, %.4f", f"{best:.2e}", min(tried[best]))
        if best in (self.rates[0], self.rates[-1]):
            log.warning("that is the end of the range; a better rate may lie beyond lr_search.min_lr or max_lr")
        rates = sorted(tried)
        losses = [[loss if math.isfinite(loss) else None for loss in tried[lr]] for lr in rates]
        return Found("grid", best, "lowest", {"lowest": best}, {"lr": rates, "losses": losses})

    def _batches(self, means: Means) -> int:
        """Those of each part of an epoch, from one validation to the next."""
        return means.batches // self.parts

    def _going_on(self, rates: int) -> list[int]:
        """How many of the rates make each part of an epoch."""
        return [math.ceil(rates / 2 ** (part / self.parts)) for part in range(self.epochs * self.parts)]

    def _try(self, rates: Sequence[float], known: Tried, means: Means, step: Step) -> Tried:
        """Train with each of ``rates``, the best of these and of those ``known`` to the end.

        To Lightning a part of an epoch is one.
        """
        going_on = self._going_on(len(rates) + len(known))

        def decide(reports: Mapping[int, Tried]) -> dict[int, list[float]]:
            """Of the rates that wait, those that go on, by number of the process."""
            waiting = {lr: losses for report in reports.values() for lr, losses in report.items()}
            part = len(next(iter(waiting.values())))
            so_far = waiting | {lr: losses[:part] for lr, losses in known.items()}
            ranking = sorted(so_far, key=lambda lr: min(so_far[lr], default=0.0))
            chosen = ranking[: going_on[part]]
            if part:
                told = "after %g of %d epochs: best of %d rates %.2e, validation loss %.4f; %d go on"
                best = ranking[0], min(so_far[ranking[0]])
                log.info(told, part / self.parts, self.epochs, len(ranking), *best, len(chosen))
            return {number: [lr for lr in report if lr in chosen] for number, report in reports.items()}

        processes = 1 if means.alone else min(means.processes, len(rates))
        if processes <= 1:
            return self._race(rates, means, lambda report: decide({0: report})[0], step)
        shares = [rates[number::processes] for number in range(processes)]  # neighbours apart: they last equally long
        found = divided(shares, lambda rates, ask, step: self._race(rates, means, ask, step), decide, step)
        return {lr: losses for tried in found for lr, losses in tried.items()}

    def _race(self, rates: Sequence[float], means: Means, ask: Callable[[Tried], Sequence[float]], step: Step) -> Tried:
        """Train with ``rates`` in this process, as far as ``ask`` lets each go on with the losses it has come to."""
        watches = [_Watch() for _ in rates]

        def choose(waiting: list[int]) -> list[int]:
            chosen = ask({rates[number]: watches[number].losses for number in waiting})
            return [number for number in waiting if rates[number] in chosen]

        def work(lr: float, watch: _Watch, context: RunContext) -> None:
            seed = derive_seed(self.seed, "lr_search")
            trainer = {"max_epochs": self.epochs * self.parts, "limit_train_batches": self._batches(means)}
            try:
                means.train(Trial(lr, seed, [watch], trainer), context)
            except MemberDropped:
                pass
            except Diverged:
                watch.losses.append(math.inf)

        works = [partial(work, lr, watch) for lr, watch in zip(rates, watches, strict=True)]
        population = Population(works, choose, step, stacked=not means.alone, at_once=True)
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

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the loss."""
        assert isinstance(pl_module, Classifier)
        if "val/loss" not in pl_module.val_metrics:
            raise ValueError("lr_search=grid is scored by validations; set trainer.limit_val_batches=1.0")
        self.losses.append(pl_module.val_metrics["val/loss"])
