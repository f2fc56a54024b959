"""Data modules: sources of images, validation split, augmentation and batches."""

from trainlab.data.images import Images, as_rgb
from trainlab.data.lazy import LazyImages
from trainlab.data.module import ImageData

__all__ = ["ImageData", "Images", "LazyImages", "as_rgb"]
