"""Sources of images, their split and batches."""

from trainlab.data.module import ImageData, Images

__all__ = ["ImageData", "Images"]
