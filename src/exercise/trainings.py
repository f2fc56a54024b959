"""What the exercise trains: sweeps of `trainlab train`, and how their settings come about."""

from dataclasses import dataclass
from functools import cache

from trainlab import expand_sweep

# Of the quick version: a small embedded data set, two seeds, two short epochs.
QUICK = (
    *("data=shapes", "data.num_train=2500", "data.num_test=500", "data.val_size=500"),
    *("trainer.max_epochs=2", "seed=1,2", "lr_search=none"),
    *("callbacks.figures=null", "logger.tensorboard=null"),  # which take most of a tiny run's time
)
AUTO, DECIDES = "seed=auto", ("sweep.margin", "sweep.max_seeds", "sweep.baseline")


@dataclass(frozen=True)
class Sweep:
    """Trainings that `trainlab train -m` makes."""

    name: str  # of the folder in that of the exercise; sections with the same sweep share it
    overrides: tuple[str, ...]
    quick: tuple[str, ...] = ()  # what takes their place, key by key, or is added, in the quick version
    minutes: float = 0.0  # on two cores


@dataclass(frozen=True)
class Setting:
    """How the exercise is run.

    Raises:
        ValueError: a key is given twice, or names the folder of a sweep, or other images than the quick version's.
    """

    quick: bool = False  # on a small data set, to see what comes out; none of its figures mean anything
    overrides: tuple[str, ...] = ()  # of every training, from the command line: where the images are, say

    def __post_init__(self) -> None:
        expand_sweep(self.overrides)
        keys = [override.partition("=")[0].lstrip("+") for override in self.overrides]
        if own := [key for key in ("name", "output_dir") if key in keys]:
            raise ValueError(f"{own[0]}= is the exercise's own; its folder under outputs/ is named by --name NAME")
        if AUTO in self.overrides:
            raise ValueError(f"{AUTO} is set where the exercise needs it; give the seeds, or leave seed out")
        if self.quick and "data" in keys:
            raise ValueError("--quick is of a small embedded data set; leave --quick out to train on other images")


def experiments(*names: str) -> str:
    """The override that chooses the options ``names`` of `conf/experiment/exercise/`."""
    return f"experiment={','.join(f'exercise/{name}' for name in names)}"


def overrides_of(sweep: Sweep, setting: Setting) -> list[str]:
    """All overrides of a sweep; later ones take the place of earlier ones with the same key.

    With seeds in the place of `seed=auto` there is nothing to decide, and without a search nothing to search: what is
    set for that is left out.
    """
    given = [*sweep.overrides, *((*QUICK, *sweep.quick) if setting.quick else ()), *setting.overrides]
    found = {override.partition("=")[0].lstrip("+"): override for override in given}
    left_out = list(DECIDES) if AUTO in sweep.overrides and found["seed"] != AUTO else []
    if found.get("lr_search") == "lr_search=none":
        left_out += [key for key in found if key.startswith("lr_search.")]
    return [override for key, override in found.items() if key not in left_out]


def max_seeds(sweep: Sweep, setting: Setting) -> int | None:
    """Of a sweep that adds seeds until its groups are compared, how many it has at most; None of another."""
    found = [word for word in overrides_of(sweep, setting) if word.startswith("sweep.max_seeds=")]
    return int(found[0].partition("=")[2]) if found else None


def sweep_command(sweep: Sweep, setting: Setting, name: str) -> list[str]:
    """The words of the command line that trains a sweep under ``name``, after `trainlab train`."""
    return ["-m", *overrides_of(sweep, setting), f"name={name}/{sweep.name}"]


@cache  # every group that is looked up needs it
def runs_of(sweep: Sweep, setting: Setting) -> list[list[str]]:
    """The overrides of each run of a sweep: all combinations but those that are the same run.

    Raises:
        ValueError: an override cannot be read.
    """
    return expand_sweep(overrides_of(sweep, setting))


def count_seeds(sweep: Sweep, setting: Setting) -> int:
    """How many seeds each group of a sweep has."""
    return len({override for run in runs_of(sweep, setting) for override in run if override.startswith("seed=")}) or 1
