"""Data modules: sources of images, validation split, augmentation and batches."""

from trainlab.data.images import Images, as_rgb
from trainlab.data.module import ImageData

__all__ = ["ImageData", "Images", "as_rgb"]
