"""Data modules: sources of images, validation split, augmentation and batches."""

from trainlab.data.module import ImageData, Images

__all__ = ["ImageData", "Images"]
