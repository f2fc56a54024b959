"""CIFAR-10 from its official archive."""

from typing import Any

from trainlab.data.torchvision_sets import TorchvisionImages


class CIFAR10(TorchvisionImages):
    """60,000 color images of ten classes, 32 x 32 (Krizhevsky, 2009); downloaded once, 170 MB.

    Args:
        root: folder of the archive, where it is also unpacked to ``cifar-10-batches-py/``.
        **settings: those of `ImageData`.
    """

    def __init__(self, root: str, **settings: Any) -> None:
        super().__init__("CIFAR10", root, **settings)
