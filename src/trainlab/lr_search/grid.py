"""Grid search of the learning rate: a population over log-spaced rates with successive halving and refinement."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from trainlab.console import Bar
from trainlab.lr_search.base import Search, SearchContext, SearchFailed, SearchResult, Trial
from trainlab.lr_search.processes import Step, run_in_processes
from trainlab.lr_search.suggestions import log_spaced
from trainlab.population.runner import MemberDropped, Population
from trainlab.randomness import derive_seed
from trainlab.runs.errors import Diverged
from trainlab.tasks.metrics import Metric
from trainlab.training.context import RunContext
from trainlab.training.module import TaskModule
from trainlab.validation import check_at_least

log = logging.getLogger(__name__)
Losses = dict[float, list[float]]  # by rate, one per validation: lower is better; inf: the training diverged


class Grid(Search):
    """Trains each of several rates for a few epochs and takes the best one by the task's primary metric.

    The worst rates are dropped after each validation, half of them per epoch (successive halving; Jamieson, Talwalkar,
    2016). Rates between the best one and its neighbours are then trained in the same way and compared with the losses
    of the best one after as many validations. The score of a rate is its best value so far, as for the best checkpoint
    of a run.

    Args:
        min_lr: lowest rate.
        max_lr: highest rate.
        num_rates: number of rates, log-spaced from ``min_lr`` to ``max_lr``.
        epochs: epochs of the longest trainings; a schedule spans them.
        validations_per_epoch: validations per epoch, each of which drops the worst rates. A schedule that counts
            epochs, such as plateau, counts these.
        num_refined: number of rates between the best one and each of its neighbours.
        seed: seed of the trainings, independent of the run's.
        cache_dir: folder where results are cached.

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

    def search(self, context: SearchContext) -> SearchResult:
        """Run the search; see `Search.search`."""
        if context.ineligible_reason:
            log.info("training the rates one after the other, which takes longer: %s", context.ineligible_reason)
        if self.parts > context.batches_per_epoch:
            raise ValueError(
                f"validations_per_epoch must be at most the {context.batches_per_epoch} batches of an epoch, "
                f"got {self.parts}; set lr_search.validations_per_epoch"
            )
        parts = sum(self._survivors(len(self.rates))) + sum(self._survivors(2 * self.num_refined))
        steps = parts * (context.batches_per_epoch // self.parts)
        with Bar("learning rates", steps) as bar:
            losses = self._train_rates(self.rates, {}, context, bar.update)
            best = best_of(losses)
            between = refined(self.rates, best, self.num_refined)
            losses |= self._train_rates(between, {best: losses[best]}, context, bar.update)
        best = best_of(losses)
        metric, rule = context.metric, "lowest" if context.metric.mode == "min" else "highest"
        value = metric.format(metric.rank(min(losses[best])))
        log.info("learning rate %s has the %s %s, %s", f"{best:.2e}", rule, metric.label, value)
        if best in (self.rates[0], self.rates[-1]):
            log.warning("this is a boundary of the range; a better rate may lie outside lr_search.min_lr and max_lr")
        rates = sorted(losses)
        finite = [[metric.rank(loss) if math.isfinite(loss) else None for loss in losses[lr]] for lr in rates]
        curve: dict[str, Any] = {"lr": rates, "losses": finite}
        if context.primary != "val/loss":
            curve |= {"label": metric.label, "mode": metric.mode}
        return SearchResult("grid", best, rule, {rule: best}, curve)

    def _survivors(self, num_rates: int) -> list[int]:
        """Number of rates that are trained in each part of an epoch."""
        return [math.ceil(num_rates / 2 ** (part / self.parts)) for part in range(self.epochs * self.parts)]

    def _train_rates(self, rates: Sequence[float], known: Losses, context: SearchContext, step: Step) -> Losses:
        """Train ``rates``; the best of these and of ``known`` survive to the last epoch.

        To Lightning a part of an epoch is an epoch.
        """
        survivors = self._survivors(len(rates) + len(known))

        def decide(reports: Mapping[int, Losses]) -> dict[int, list[float]]:
            """The rates that continue, by index of the process."""
            waiting = {lr: losses for report in reports.values() for lr, losses in report.items()}
            part = len(next(iter(waiting.values())))
            so_far = waiting | {lr: losses[:part] for lr, losses in known.items()}
            ranking = sorted(so_far, key=lambda lr: min(so_far[lr], default=0.0))
            chosen = ranking[: survivors[part]]
            if part:
                message = "after %g of %d epochs: best of %d rates %.2e, %s %s; %d continue"
                metric, least = context.metric, min(so_far[ranking[0]])
                best = ranking[0], metric.label, metric.format(metric.rank(least))
                log.info(message, part / self.parts, self.epochs, len(ranking), *best, len(chosen))
            return {number: [lr for lr in report if lr in chosen] for number, report in reports.items()}

        processes = 1 if context.ineligible_reason else min(context.num_processes, len(rates))
        if processes <= 1:
            return self._train_population(rates, context, lambda report: decide({0: report})[0], step)
        chunks = [rates[number::processes] for number in range(processes)]  # neighbours, which last equally long, apart
        results = run_in_processes(
            chunks, lambda rates, ask, step: self._train_population(rates, context, ask, step), decide, step
        )
        return {lr: losses for result in results for lr, losses in result.items()}

    def _train_population(
        self, rates: Sequence[float], context: SearchContext, ask: Callable[[Losses], Sequence[float]], step: Step
    ) -> Losses:
        """Train ``rates`` in this process; ``ask`` maps the losses so far to the rates that continue."""
        records = [_Record(context.primary, context.metric) for _ in rates]

        def choose(waiting: list[int]) -> list[int]:
            chosen = ask({rates[number]: records[number].losses for number in waiting})
            return [number for number in waiting if rates[number] in chosen]

        def work(lr: float, record: _Record, run_context: RunContext) -> None:
            seed = derive_seed(self.seed, "lr_search")
            batches = context.batches_per_epoch // self.parts  # between two validations
            trainer = {"max_epochs": self.epochs * self.parts, "limit_train_batches": batches}
            try:
                context.train(Trial(lr, seed, [record], trainer), run_context)
            except MemberDropped:
                pass
            except Diverged:
                record.losses.append(math.inf)

        works = [partial(work, lr, record) for lr, record in zip(rates, records, strict=True)]
        population = Population(works, choose, step, stacked=not context.ineligible_reason, at_once=True)
        outcomes = population.run()
        if population.interrupted:
            raise KeyboardInterrupt
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return {lr: record.losses for lr, record in zip(rates, records, strict=True)}


def best_of(losses: Losses) -> float:
    """The rate with the lowest loss among those that were trained longest without diverging.

    Raises:
        SearchFailed: all diverged.
    """
    finite = {lr: values for lr, values in losses.items() if values and math.isfinite(values[-1])}
    if not finite:
        raise SearchFailed(
            f"no learning rate from {min(losses):.2g} to {max(losses):.2g} has a finite validation loss; "
            "set lr_search.min_lr lower"
        )
    longest = max(map(len, finite.values()))
    return min((lr for lr in finite if len(finite[lr]) == longest), key=lambda lr: min(finite[lr]))


def refined(rates: Sequence[float], best: float, count: int) -> list[float]:
    """``count`` rates between ``best`` and each of its neighbours among ``rates``, log-spaced."""
    place = list(rates).index(best)
    neighbours = [*rates[max(0, place - 1) : place], *rates[place + 1 : place + 2]]
    return sorted(lr for neighbour in neighbours for lr in log_spaced(best, neighbour, count + 2)[1:-1])


class _Record(Callback):
    """Records the primary metric of a training, once per epoch, so that lower is better."""

    def __init__(self, primary: str, metric: Metric) -> None:
        self.losses: list[float] = []
        self._primary, self._metric = primary, metric

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the metric."""
        assert isinstance(pl_module, TaskModule)
        if self._primary not in pl_module.val_metrics:
            raise ValueError("lr_search=grid needs validations, got none; set trainer.limit_val_batches=1.0")
        self.losses.append(self._metric.rank(pl_module.val_metrics[self._primary]))
