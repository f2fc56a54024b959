"""Networks of myproject."""

from torch import Tensor, nn


class SmallCNN(nn.Module):
    """Two convolutions, each before a pooling, and a dense layer.

    Args:
        image_shape: (C, H, W) of the images; trainlab passes that of the data set.
        num_classes: number of logits; trainlab passes that of the data set.
        width: channels of the first convolution; the second has twice as many.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, width: int = 16) -> None:
        super().__init__()
        channels, height, breadth = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (height // 4) * (breadth // 4), num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W), which trainlab has scaled to [0, 1]."""
        return self.layers(images)
