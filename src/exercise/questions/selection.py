"""A mistake: choosing by the test set, and reporting what it says of the choice."""

from statistics import fmean

import torch
from torch import Tensor

from exercise.contrast import POINTS, Claim
from exercise.questions.dropout import BETWEEN, SWEEP
from exercise.section import Answer, Measurement, Section
from exercise.store import Evidence, Measured, NotAvailable
from trainlab import generator, load_data, load_network
from trainlab.inference import evaluate
from trainlab.report import COLORS, Plot, canvas, render

CHOICES = "mistake_test_set"
SPLITS = 1000


def measure(evidence: Evidence) -> Measured:
    """Choose among the runs of question 7 by half of the test images, many times; report on that half and the other."""
    runs = [run for of in (SWEEP, BETWEEN) for group in evidence.ended_groups(of) for run in group.runs.values()]
    if len(runs) < 2:
        raise NotAvailable("there are no two completed runs to choose among")
    images = load_data(runs[0]).test_dataloader()  # all have the same
    right = [(found := evaluate(load_network(run), images)).predictions == found.targets for run in runs]
    validated = torch.tensor([run.result.metrics["val_loss"] for run in runs])
    return simulate_choices(torch.stack(right), validated)


def simulate_choices(right: Tensor, val_loss: Tensor, splits: int = SPLITS, seed: int = 0) -> Measured:
    """What choosing by half of the test images does, over random halves, each used both ways round; all in points.

    ``right`` (R, N) is whether each run has each image right, ``val_loss`` (R,) what the runs would be chosen by.

    Returns:
        `too_good`: what the choice's own half says of it less what the other half says; `lost`: what the other half
        says of the choice by validation loss less what it says of the choice by the test half; both by split.
        `by_number`: mean of `too_good` by how many runs there are to choose among. `same`: share of splits in which
        both choose the same run. `accuracy`: of each run on all test images, in %.
    """
    number, images = right.shape
    draws, half = generator(seed, "halves"), images // 2
    by_validation = int(val_loss.argmin())
    inside = torch.zeros(splits, 2, number)  # accuracies on the half that chooses, in points
    for split in range(splits):
        order = torch.randperm(images, generator=draws)
        inside[split] = torch.stack([100 * right[:, part].float().mean(1) for part in order[: 2 * half].split(half)])
    outside = inside.flip(1)
    best = inside.argmax(2, keepdim=True)

    def too_good(n: int) -> float:
        """On average, among ``n`` runs drawn anew for each split."""
        drawn = torch.rand(splits, 1, number, generator=draws).argsort(2)[..., :n].expand(-1, 2, -1)
        ours, theirs = inside.gather(2, drawn), outside.gather(2, drawn)
        return float((ours - theirs).gather(2, ours.argmax(2, keepdim=True)).mean())

    return {
        "runs": number,
        "images": half,
        "accuracy": (100 * right.float().mean(1)).tolist(),
        "too_good": (inside - outside).gather(2, best).mean((1, 2)).tolist(),
        "lost": (outside[:, :, by_validation] - outside.gather(2, best)[..., 0]).mean(1).tolist(),
        "same": float((best == by_validation).float().mean()),
        "by_number": {str(n): too_good(n) for n in range(1, number + 1)},
    }


def answer(evidence: Evidence) -> Answer:
    """How much too good the chosen run looks."""
    found = evidence.measured(CHOICES)
    mean, lost, best = fmean(found["too_good"]), fmean(found["lost"]), max(found["accuracy"]) / 100
    noise = 196 * (best * (1 - best) / found["images"]) ** 0.5
    low, high = torch.tensor(found["too_good"]).quantile(torch.tensor([0.025, 0.975])).tolist()
    largest = max(found["by_number"], key=found["by_number"].__getitem__)
    figures = {
        "runs": found["runs"],
        "images": f"{found['images']:,}",
        "too_good": f"{mean:.2f} points",
        "noise": f"{noise:.1f} points",
        "lost": f"{abs(lost):.2f} points {'less' if lost >= 0 else 'more'} accurate",
        "same": f"{100 * found['same']:.0f} %",
        "is_small": mean < min(POINTS, noise),
        **{"splits": f"{len(found['too_good']):,}", "range": f"{low:.2f} to {high:.2f}"},
        **{"largest": int(largest), "largest_size": f"{found['by_number'][largest]:.2f} points"},
    }
    claim = Claim(
        f"Chosen by test images, the figure is on average {POINTS:g} point or more too good", holds=mean >= POINTS
    )
    with canvas(5.0, 2.6) as (figure, (axes,)):
        axes.plot([*map(int, found["by_number"])], [*found["by_number"].values()], "o-", color=COLORS[0], markersize=3)
        axes.set(xlabel="runs to choose among", ylabel="points too good", ylim=(0, None))
        plot = Plot("mistake_test_set_choices", "Points too good, by number of runs", "", *render(figure))
    return Answer(figures, [claim], plot)


SECTION = Section("mistake_test_set", "mistakes", answer, [SWEEP, BETWEEN], [Measurement(CHOICES, measure, 0.5)])
