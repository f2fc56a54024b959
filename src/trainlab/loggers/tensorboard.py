"""TensorBoard logger: one event file per process, hyperparameters, results, and a chart layout."""

import io
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from trainlab.loggers.hyperparameters import Value
from trainlab.runs.files import write_atomically
from trainlab.tasks.reported import TaskMetrics

# TensorBoard's libraries take a while to import: only where something is written.
if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

SUCCESS, FAILURE = ("completed", "debug", "pruned"), ("diverged", "failed")  # statuses; of others TensorBoard has none
SHOWN_FIRST = ("model", "optimizer", "lr", "scheduler", "seed")  # the tab shows five columns by default
# TensorBoard sorts sections by name: images come after the curves of val/.
LR_SEARCH = "view/learning rate search"
TRAINING_IMAGES, TEST_IMAGES, CONFUSION_MATRIX = "view/training images", "view/test images", "view/confusion matrix"
# Layer statistics come last: they have one chart per layer.
LAYERS = {
    "mean": "within layers: activations, mean",
    "std": "within layers: activations, standard deviation",
    "dead": "within layers: dead units, share",
    "gradient_norm": "within layers: gradient, norm",
    "rank": "within layers: weights, rank",
    "distinct_units": "within layers: weights, distinct units",
}
HISTOGRAMS = "within layers: activations"
_TAGS = "tags/text_summary"  # as `add_text` names what is added as "tags"
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
        self._results: dict[str, str] = {}

    def save(self) -> None:
        """Do nothing: Lightning would write hyperparameters to a file, and they are in `config.yaml`."""

    @rank_zero_only
    def start(
        self, hyperparameters: Mapping[str, Value], metrics: TaskMetrics, step: int | None, tags: Sequence[str] = ()
    ) -> None:
        """Log hyperparameters and layout, and remove what an earlier process wrote after ``step``.

        Args:
            hyperparameters: of the run, see `trainlab.loggers.hyperparameters`.
            metrics: of the run's task.
            step: step of the checkpoint that the run continues from; None for a new run.
            tags: of the run, for the TEXT tab.
        """
        from torch.utils.tensorboard.summary import custom_scalars

        self._results = results(metrics)
        layout = custom_scalars({"curves": charts(metrics)})
        described = [_experiment(hyperparameters, self._results), _session_start(hyperparameters), _session_end("")]
        # TensorBoard uses the first of several descriptions of a run, so earlier ones are removed.
        replaced = {value.tag for summary in (layout, *described) for value in summary.value}
        replaced |= {_TAGS, *self._results.values(), TEST_IMAGES, CONFUSION_MATRIX, LR_SEARCH}
        _remove(Path(self.save_dir), -1 if step is None else step, replaced)
        for summary in (layout, *described[:2]):
            self.experiment.file_writer.add_summary(summary)
        if tags:
            self.experiment.add_text("tags", ", ".join(tags))
        self.experiment.flush()

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: ``start`` logs them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write one point of each tag. TensorBoard groups tags by what is before the slash."""
        for name, value in metrics.items():
            self.experiment.add_scalar(name if "/" in name else f"run/{name}", value, step)
        self.experiment.flush()

    @rank_zero_only
    def log_layers(
        self, statistics: Mapping[str, Mapping[str, float]], histograms: Mapping[str, dict[str, Any] | None], step: int
    ) -> None:
        """Write the statistics of each layer, by the keys of ``LAYERS``, and histograms of its activations.

        Args:
            histograms: arguments of ``SummaryWriter.add_histogram_raw`` by layer.
        """
        for layer, values in statistics.items():
            for key, value in values.items():
                self.experiment.add_scalar(f"{LAYERS[key]}/{layer}", value, step)
        for layer, histogram in histograms.items():
            if histogram:
                self.experiment.add_histogram_raw(f"{HISTOGRAMS}/{layer}", **histogram, global_step=step)
        self.experiment.flush()

    @rank_zero_only
    def end(self, metrics: Mapping[str, Any], status: str, step: int) -> None:
        """Write the results that there are and the status, and close the file."""
        for name, tag in self._results.items():
            if name in metrics:
                value = metrics[name] + 1 if name == "best_epoch" else metrics[name]  # epochs count from one
                self.experiment.add_scalar(tag, value, step)
        self.experiment.file_writer.add_summary(_session_end(status))
        self.experiment.close()
        self._experiment = None


def results(metrics: TaskMetrics) -> dict[str, str]:
    """Metrics of `result.json`, and the tags, with one point each, that the HPARAMS tab reads them from."""
    validation = {metric.key: f"val/best_{metric.key.removeprefix('val_')}" for metric in metrics.every}
    test = {metric.test.key: metric.test.key.replace("_", "/", 1) for metric in metrics.every}
    return {**validation, **test, "best_epoch": "val/best_epoch"}


def charts(metrics: TaskMetrics) -> dict[str, list[Any]]:
    """The curves that share a chart: training and validation of each metric."""
    tags = {metric.name: metric.key.replace("_", "/", 1) for metric in metrics.every}
    patterns = {name: [f"train/{tag.removeprefix('val/')}$", f"{tag}$"] for name, tag in tags.items()}
    return {name: ["Multiline", of] for name, of in (patterns | {"learning rate": ["run/lr$"]}).items()}


def _experiment(hyperparameters: Mapping[str, Value], results: Mapping[str, str]) -> "Summary":
    """The columns of the HPARAMS tab; the same in every run, as TensorBoard takes them from any run."""
    from tensorboard.plugins.hparams import api_pb2, metadata

    types = {str: api_pb2.DATA_TYPE_STRING, float: api_pb2.DATA_TYPE_FLOAT64, bool: api_pb2.DATA_TYPE_BOOL}
    experiment = api_pb2.Experiment(
        hparam_infos=[
            # TensorBoard sorts by `differs`, then by name.
            api_pb2.HParamInfo(name=name, type=types[type(value)], differs=name in SHOWN_FIRST)
            for name, value in hyperparameters.items()
        ],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name) for name, tag in results.items()
        ],
    )
    return _summary(metadata.EXPERIMENT_TAG, experiment=experiment)


def _session_start(hyperparameters: Mapping[str, Value]) -> "Summary":
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    fields = {str: "string_value", float: "number_value", bool: "bool_value"}
    for name, value in hyperparameters.items():
        setattr(info.hparams[name], fields[type(value)], value)
    return _summary(metadata.SESSION_START_INFO_TAG, session_start_info=info)


def _session_end(status: str) -> "Summary":
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    known = dict.fromkeys(SUCCESS, api_pb2.STATUS_SUCCESS) | dict.fromkeys(FAILURE, api_pb2.STATUS_FAILURE)
    info = plugin_data_pb2.SessionEndInfo(status=known.get(status, api_pb2.STATUS_UNKNOWN), end_time_secs=time.time())
    return _summary(metadata.SESSION_END_INFO_TAG, session_end_info=info)


def _summary(tag: str, **content: Any) -> "Summary":
    """What the HPARAMS tab reads."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    described = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])


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
            path.unlink()
