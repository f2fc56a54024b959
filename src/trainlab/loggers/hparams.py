"""What TensorBoard's HPARAMS tab reads: columns with the values to filter by, and the start and end of each run."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainlab.loggers.hyperparameters import Swept, Value

# TensorBoard's libraries take a while to import: only where something is written.
if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.api_pb2 import HParamInfo

SUCCESS, FAILURE = ("completed", "debug", "pruned"), ("diverged", "failed")  # statuses; of others TensorBoard has none
_USUAL = ("model", "optimizer", "data", "seed", "lr")
_MAX_SHOWN = 5  # columns of hyperparameters that the tab shows at first, whatever it is given
_MAX_BOXES = 9  # values that the tab has a checkbox for each; of more, a regular expression or an interval


def experiment(hyperparameters: Mapping[str, Value], sweep: Swept, metrics: Mapping[str, str]) -> "Summary":
    """The columns of the tab; the same in every run, as TensorBoard takes them from any run.

    Args:
        hyperparameters: of the run.
        sweep: that the run is part of.
        metrics: tag of each metric.
    """
    from tensorboard.plugins.hparams import api_pb2, metadata

    values = {name: sorted({*sweep.values.get(name, ()), value}) for name, value in hyperparameters.items()}
    shown = [*dict.fromkeys([*sweep.columns, *_USUAL])][:_MAX_SHOWN]
    content = api_pb2.Experiment(
        # TensorBoard sorts by `differs`, then by name.
        hparam_infos=[_column(name, found, differs=name in shown) for name, found in values.items()],
        metric_infos=[
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name) for name, tag in metrics.items()
        ],
    )
    return _summary(metadata.EXPERIMENT_TAG, experiment=content)


def session_start(hyperparameters: Mapping[str, Value]) -> "Summary":
    """The hyperparameters of a run that starts."""
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    fields = {str: "string_value", float: "number_value", bool: "bool_value"}
    for name, value in hyperparameters.items():
        setattr(info.hparams[name], fields[type(value)], value)
    return _summary(metadata.SESSION_START_INFO_TAG, session_start_info=info)


def session_end(status: str) -> "Summary":
    """The status of a run that ends, as in `result.json`."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    known = dict.fromkeys(SUCCESS, api_pb2.STATUS_SUCCESS) | dict.fromkeys(FAILURE, api_pb2.STATUS_FAILURE)
    info = plugin_data_pb2.SessionEndInfo(status=known.get(status, api_pb2.STATUS_UNKNOWN), end_time_secs=time.time())
    return _summary(metadata.SESSION_END_INFO_TAG, session_end_info=info)


def _column(name: str, values: Sequence[Value], differs: bool) -> "HParamInfo":
    """A column with its type and the values to filter by.

    A number that is the same in all runs has none: the tab asks for its limits then, for runs of other sweeps.
    """
    from tensorboard.plugins.hparams import api_pb2

    types = {str: api_pb2.DATA_TYPE_STRING, float: api_pb2.DATA_TYPE_FLOAT64, bool: api_pb2.DATA_TYPE_BOOL}
    column = api_pb2.HParamInfo(name=name, type=types[type(values[0])], differs=differs)
    if isinstance(values[0], bool):
        column.domain_discrete.extend([False, True])
    elif isinstance(values[0], str) or 1 < len(values) <= _MAX_BOXES:
        column.domain_discrete.extend(values)
    elif len(values) > 1:
        column.domain_interval.min_value, column.domain_interval.max_value = values[0], values[-1]
    return column


def _summary(tag: str, **content: Any) -> "Summary":
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    described = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])
