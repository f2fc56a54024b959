"""Data modules: sources of images, validation split, augmentation and batches."""

from trainlab.data.foreign import ForeignData
from trainlab.data.images import Images, as_rgb
from trainlab.data.lazy import LazyImages
from trainlab.data.module import ImageData
from trainlab.data.training_data import TrainingData

__all__ = ["ForeignData", "ImageData", "Images", "LazyImages", "TrainingData", "as_rgb"]
