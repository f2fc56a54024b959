"""What a run leaves behind: its folder, lock, result and checkpoints. Public are the atomic files and the lock."""

from trainlab.runs.files import locked, write_atomically, write_json

__all__ = ["locked", "write_atomically", "write_json"]
