"""TensorBoard logger: one event file per process, hyperparameters, results, and a chart layout."""

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from trainlab.loggers.hparams import experiment, session_end, session_start
from trainlab.loggers.hyperparameters import Value, swept
from trainlab.runs.files import write_atomically
from trainlab.runs.lease import check_lease
from trainlab.tasks.reported import TaskMetrics

if TYPE_CHECKING:
    from PIL.Image import Image

# TensorBoard sorts sections by name and opens the first two: train and val. All others come after them.
_WHILE_TRAINING = "while training"  # the section of OF_EPOCHS
OF_EPOCHS = ("lr", "momentum", "epoch_s", "images_per_s")  # of every epoch, besides its metrics
_NO_CURVES = ("epoch", "parameters")
LR_SEARCH = "view/learning rate search"
TRAINING_IMAGES, TEST_IMAGES, CONFUSION_MATRIX = "view/training images", "view/test images", "view/confusion matrix"
# Then layer statistics, which have one chart per layer.
LAYERS = {
    "mean": "within layers: activations, mean",
    "std": "within layers: activations, standard deviation",
    "dead": "within layers: dead units, share",
    "gradient_norm": "within layers: gradient, norm",
    "rank": "within layers: weights, rank",
    "distinct_units": "within layers: weights, distinct units",
}
HISTOGRAMS = {kind: f"within layers: {kind}" for kind in ("activations", "weights", "gradients")}
FINAL = "without curves, for HPARAMS"  # one point each: that tab reads its metrics from scalars alone; comes last
# As `add_text` names them. The TEXT tab sorts them by name: the result comes first. Settings were named config.
_TEXTS = [f"{name}/text_summary" for name in ("result", "settings", "tags", "config")]
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # one in C, where there is one
Histograms = Mapping[str, Mapping[str, dict[str, Any] | None]]  # by kind and layer
_EVENT_FILES = "events.out.tfevents.*"


class TensorBoard(TensorBoardLogger):
    """Logger that writes a run to TensorBoard, under the name of its folder.

    Events are flushed at the end of every epoch. A process that resumes a run writes a new event file and removes from
    the earlier ones what it will repeat, so that no point appears twice.

    Args:
        save_dir: folder of the run.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir, name="", version="")  # a run has one folder
        self._final: dict[str, str] = {}  # tags of the metrics in HPARAMS
        self._results: Collection[str] = ()  # metrics on the TEXT tab

    def save(self) -> None:
        """Do nothing: Lightning would write hyperparameters to a file, and they are in `config.yaml`."""

    @rank_zero_only
    def start(
        self,
        hyperparameters: Mapping[str, Value],
        metrics: TaskMetrics,
        step: int | None,
        config: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Log hyperparameters, layout and config, and remove what an earlier process wrote after ``step``.

        Args:
            hyperparameters: of the run, see `trainlab.loggers.hyperparameters`.
            metrics: of the run's task.
            step: step of the checkpoint that the run continues from; None for a new run.
            config: resolved configuration, for the TEXT tab.
        """
        from torch.utils.tensorboard.summary import custom_scalars

        compared = metrics.compared_by
        self._final = {name: f"{FINAL}/{name}" for name in (compared.key, compared.test.key, "epochs", "total_s")}
        self._results = (*results(metrics), "epochs", "total_s")
        layout = custom_scalars(charts(metrics))
        described = [experiment(hyperparameters, swept(), self._final), session_start(hyperparameters)]
        # TensorBoard uses the first of several descriptions of a run, so earlier ones are removed.
        replaced = {value.tag for summary in (layout, *described, session_end("")) for value in summary.value}
        replaced |= {*_TEXTS, *self._final.values(), TEST_IMAGES, CONFUSION_MATRIX, LR_SEARCH}
        _remove(Path(self.save_dir), -1 if step is None else step, replaced)
        for summary in (layout, *described):
            self.experiment.file_writer.add_summary(summary)
        if config:
            text = yaml.dump({**config}, Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
            self.experiment.add_text("settings", _code(text))
        if tags := config.get("tags"):
            self.experiment.add_text("tags", ", ".join(tags))
        self.experiment.flush()

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: ``start`` logs them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write one point of each curve. TensorBoard groups tags by what is before the slash."""
        for name, value in metrics.items():
            if name not in _NO_CURVES:
                self.experiment.add_scalar(_tag(name), value, step)
        self.experiment.flush()

    @rank_zero_only
    def log_layers(self, statistics: Mapping[str, Mapping[str, float]], histograms: Histograms, step: int) -> None:
        """Write the statistics of each layer, by the keys of ``LAYERS``, and histograms, by those of ``HISTOGRAMS``.

        Args:
            histograms: arguments of ``SummaryWriter.add_histogram_raw`` by layer; None without finite values.
        """
        for layer, values in statistics.items():
            for key, value in values.items():
                self.experiment.add_scalar(f"{LAYERS[key]}/{layer}", value, step)
        for kind, layers in histograms.items():
            for layer, histogram in layers.items():
                if histogram:
                    self.experiment.add_histogram_raw(f"{HISTOGRAMS[kind]}/{layer}", **histogram, global_step=step)
        self.experiment.flush()

    @rank_zero_only
    def log_figure(self, name: str, figure: "Image", step: int) -> None:
        """Write a figure."""
        self.experiment.add_image(name, np.asarray(figure), step, dataformats="HWC")
        self.experiment.flush()

    @rank_zero_only
    def end(self, figures: Mapping[str, Any], status: str, step: int) -> None:
        """Write the final figures that there are and the status, and close the file.

        Args:
            figures: metrics of `result.json` and `total_s`.
            status: status of `result.json`.
            step: number of optimizer steps.
        """
        # Epochs count from one.
        found = {name: figures[name] + (name == "best_epoch") for name in self._results if name in figures}
        for name, tag in self._final.items():
            if name in found:
                self.experiment.add_scalar(tag, found[name], step)
        rows = [f"status | {status}", "--- | ---", *(f"{name} | {value:.6g}" for name, value in found.items())]
        self.experiment.add_text("result", "\n".join(rows), step)
        self.experiment.file_writer.add_summary(session_end(status))
        self.experiment.close()
        self._experiment = None


def results(metrics: TaskMetrics) -> dict[str, str]:
    """Metrics of `result.json`, that which runs are compared by first, and their names in loggers that divide names."""
    validation = {metric.key: f"val/best_{metric.key.removeprefix('val_')}" for metric in metrics.ranked}
    test = {metric.test.key: metric.test.tag for metric in metrics.ranked}
    return {**validation, **test, "best_epoch": "val/best_epoch"}


def charts(metrics: TaskMetrics) -> dict[str, dict[str, list[Any]]]:
    """The charts of the CUSTOM SCALARS tab by section: validation, training with validation, and the learning rate.

    TensorBoard colors lines by run, and tells tags apart by small symbols only.
    """
    validation = {metric.name: ["Multiline", [f"{metric.tag}$"]] for metric in metrics.every}
    both = {metric.name: ["Multiline", [f"{metric.train_tag}$", f"{metric.tag}$"]] for metric in metrics.every}
    return {
        "validation": validation,
        "training and validation": both,
        "learning rate": {"learning rate": ["Multiline", [f"{_tag('lr')}$"]]},
    }


def _tag(name: str) -> str:
    """The tag of a curve; what a user's LightningModule logs without a section gets one that comes first."""
    if name in OF_EPOCHS:
        return f"{_WHILE_TRAINING}/{name}"
    return name if "/" in name else f"run/{name}"


def _code(text: str) -> str:
    """As Markdown shows ``text`` as it is."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def _remove(folder: Path, step: int, tags: Collection[str]) -> None:
    """Remove events after ``step`` from the event files of ``folder``, and all events of ``tags``."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    for path in sorted(folder.glob(_EVENT_FILES)):
        content = io.BytesIO()
        writer, has_events = RecordWriter(content), False
        for event in map(Event.FromString, RawEventFileLoader(str(path)).Load()):  # without a truncated last one
            if event.HasField("summary"):
                values = [value for value in event.summary.value if value.tag not in tags and event.step <= step]
                del event.summary.value[:]
                event.summary.value.extend(values)
                if not values:
                    continue
                has_events = True
            writer.write(event.SerializeToString())
        if has_events:
            write_atomically(path, content.getvalue())
        else:
            check_lease(path)
            path.unlink()
