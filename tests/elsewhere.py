"""An executor without a scheduler: its items are files, and nobody runs them."""

from collections.abc import Sequence

from trainlab.sweep.executors.executor import RUNNING, STOP, Ended
from trainlab.sweep.executors.remote import NotTaken, RemoteExecutor
from trainlab.sweep.executors.remote_item import Remote


class Elsewhere(RemoteExecutor):
    """Takes as many command lines as ``room`` has. Of all it says ``seen``, and keeps the ``requests`` made of them."""

    name = "elsewhere"

    def __init__(self, restarts: int = 5, on_interrupt: str = STOP) -> None:
        super().__init__(cpus=1, mem_gb=None, gpus=0, restarts=restarts, on_interrupt=on_interrupt)
        self.room, self.refuses, self.tells = 100, NotTaken, True
        self.seen: str | Ended = RUNNING
        self.requests: list[tuple[str, str]] = []

    def start(self, items: Sequence[Remote], commands: Sequence[Sequence[str]]) -> Sequence[str]:
        if len(self._live) + len(items) > self.room:
            raise self.refuses("the limit is reached")
        return [f"id-{one.item.jobs[0].number}" for one in items]

    def look(self, submitted: Remote) -> str | Ended:
        return self.seen

    def interrupt(self, submitted: Remote) -> bool:
        self.requests.append(("interrupt", submitted.id))
        return self.tells

    def cancel(self, submitted: Remote) -> bool:
        self.requests.append(("cancel", submitted.id))
        return self.tells
