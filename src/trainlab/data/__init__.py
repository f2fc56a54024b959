"""Data modules: sources of images, validation split, augmentation and batches."""

from trainlab.data.module import ImageData, Images, as_rgb

__all__ = ["ImageData", "Images", "as_rgb"]
