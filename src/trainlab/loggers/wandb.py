"""Weights & Biases: one W&B run per run, which a resumed run continues."""

import contextlib
import json
import logging
import os
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger

from trainlab.loggers.hparams import SUCCESS
from trainlab.loggers.tensorboard import OF_EPOCHS
from trainlab.passwords import without_passwords
from trainlab.tasks.reported import TaskMetrics

# wandb takes a while to import, and is not always installed: only where something is written.
if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)
_FINISH_S = 600  # for the rest of the upload at the end of a run; by default W&B waits for ever
_HEADER, _BLOCK = 7, 32768  # bytes of a .wandb file: its header, and the blocks of LevelDB's log format


class WandB(WandbLogger):
    """Logger that writes a run to Weights & Biases, in `wandb/` of its folder and, unless ``offline``, to the server.

    W&B's step is the optimizer step; charts are over epochs. A run that is resumed continues the W&B run that lies in
    its folder.

    Args:
        save_dir: folder of the run.
        project: None for the environment variable WANDB_PROJECT, or "trainlab".
        entity: user or team; None for that of the login.
        offline: whether to write to ``save_dir`` only; `wandb sync` uploads it later.
        name: of the run.
        group: name of its sweep.
        tags: of the run.
        resume: whether the run is resumed.
    """

    packages = ("wandb",)

    def __init__(
        self,
        save_dir: str,
        project: str | None = None,
        entity: str | None = None,
        offline: bool = False,
        *,
        name: str,
        group: str | None,
        tags: Sequence[str],
        resume: bool,
    ) -> None:
        import wandb

        super().__init__(
            name=name,
            save_dir=save_dir,
            id=_latest_id(Path(save_dir)) if resume else None,
            project=project or os.environ.get("WANDB_PROJECT") or "trainlab",
            entity=entity,
            group=group,
            tags=[*tags],
            mode="offline" if offline else None,
            reinit="create_new",  # members of a population log side by side
            settings=wandb.Settings(
                console="off",  # the output of the run is in its train.log
                silent=True,
                finish_timeout=_FINISH_S,
                finish_timeout_raises=True,
            ),
        )
        self._wandb_init.pop("anonymous", None)  # which W&B warns of, whatever it is

    def start(self, config: Mapping[str, Any], metrics: TaskMetrics) -> None:
        """Open the W&B run, define charts over epochs and the best values in the summary, and log the configuration."""
        import wandb

        with _arguments_without_passwords():
            self._experiment = run = wandb.init(**self._wandb_init)
        run.define_metric("epoch", hidden=True)
        for metric in metrics.every:
            run.define_metric(metric.tag, step_metric="epoch", summary=f"{metric.mode},last" if metric.mode else "last")
        for name in (*(metric.train_tag for metric in metrics.every), *OF_EPOCHS):
            run.define_metric(name, step_metric="epoch")
        self.log_hyperparams(dict(config))
        log.info("W&B run %s: %s", run.id, Path(run.dir).parent if run.offline else run.url)

    def logged_steps(self) -> set[int]:
        """Steps of the epochs that earlier processes have written to this W&B run."""
        files = Path(self._wandb_init["dir"]).glob(f"wandb/*run-*/run-{self.experiment.id}.wandb")
        own = Path(self.experiment.dir).parent
        return {row["_step"] for path in files if path.parent != own for row in history(path) if "epoch_s" in row}

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write metrics at ``step``, or at W&B's own step where that is later: W&B takes none back."""
        run = self.experiment
        run.log(dict(metrics), step=None if step is None else max(step, run.step))

    def log_figure(self, name: str, figure: "Image", step: int) -> None:
        """Write a figure."""
        import wandb

        self.log_metrics({name: wandb.Image(figure)}, step)

    def end(self, results: Mapping[str, float], status: str, step: int) -> None:
        """Write the results and the status to the summary, and finish the W&B run."""
        self.experiment.summary.update({**results, "status": status})
        self.experiment.finish(exit_code=0 if status in SUCCESS else 1)
        self._experiment = None


@contextlib.contextmanager
def _arguments_without_passwords() -> Iterator[None]:
    """W&B records the command line."""
    given = sys.argv
    sys.argv = without_passwords(given)
    try:
        yield
    finally:
        sys.argv = given


def history(path: Path) -> list[dict[str, Any]]:
    """Rows of the history in a `.wandb` file, by metric."""
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]


def records(path: Path) -> Iterator[Any]:
    """Records of a `.wandb` file, without a truncated last one: protocol buffers in the format of LevelDB's log.

    https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # it is made when that is imported

    content, place, parts = path.read_bytes(), _HEADER, b""
    while place + _HEADER <= len(content):
        if (left := _BLOCK - place % _BLOCK) < _HEADER:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        part = content[place + _HEADER : place + _HEADER + length]
        if not kind or len(part) < length:
            return
        place += _HEADER + length
        parts = part if kind in (1, 2) else parts + part  # whole, first, middle, last
        if kind in (1, 4):
            yield Record.FromString(parts)


def _latest_id(folder: Path) -> str | None:
    """Of the W&B run that was written last to the folder of a run; W&B names folders by mode, time and this."""
    paths = sorted(folder.glob("wandb/*run-*-*"), key=lambda path: path.name.split("-")[-2])
    return paths[-1].name.rpartition("-")[2] if paths else None
