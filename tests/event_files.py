"""What a run writes for TensorBoard, as it lies in its event files."""

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

BOARD = "logger.tensorboard={_target_: trainlab.loggers.TensorBoard, save_dir: '${run_dir}'}"


def event_files(folder: Path) -> list[Path]:
    """In the order in which they were opened: by the second and the number at the end of the name."""

    def opened(path: Path) -> tuple[int, int]:
        parts = path.name.split(".")
        return int(parts[3]), int(parts[-1])

    return sorted(folder.glob("events.out.tfevents.*"), key=opened)


def values(folder: Path) -> dict[str, list[tuple[int, object]]]:
    """All points of all series as they lie in the files, by tag; for a reader that mends nothing."""
    found: dict[str, list[tuple[int, object]]] = {}
    for path in event_files(folder):
        for event in map(Event.FromString, RawEventFileLoader(str(path)).Load()):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(step, value.simple_value) for step, value in values(folder).get(tag, [])]
