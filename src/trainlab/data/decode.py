"""Decode image files of any mode and size to 8-bit RGB or gray of one size."""

import io
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from trainlab.console import Bar, on_terminal
from trainlab.processes import count_cores

_MOST_PIXELS = 178_956_970  # per image; 512 MB as RGB
Image.MAX_IMAGE_PIXELS = None  # no warning of Pillow from half of that on
_CHUNK = 256  # items per task; starting a task costs as much as a small image


def readable_extensions() -> frozenset[str]:
    """Lower-case file extensions, without the dot, of the formats that Pillow reads."""
    Image.preinit()  # first, so that `Image.open` tries the common formats first
    registered = Image.registered_extensions()
    return frozenset(extension[1:] for extension, kind in registered.items() if kind in Image.OPEN)


def decode(path: str, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Decode an image file to uint8 ``image_shape``, (1, H, W) for gray or (3, H, W) for RGB.

    The EXIF orientation is applied, transparency is blended with white, 16-bit gray is scaled by 1/257, and color
    becomes gray by its luma (ITU-R 601). Other sizes are cropped around the center to the aspect ratio and resized,
    bilinear with antialiasing; much larger JPEGs are decoded at reduced size. Of an animation the first frame is used.

    Raises:
        ValueError: the file is corrupt, truncated, or has float pixels, whose range is unknown.
        OSError: the file cannot be read.
    """
    channels, height, width = image_shape
    content = Path(path).read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are more than {_MOST_PIXELS}")
            longer = max(height, width)  # before the orientation is known
            image.draft("RGB", (2 * longer, 2 * longer))
            ImageOps.exif_transpose(image, in_place=True)
            rgb = _to_rgb(image)
        if channels == 1:
            rgb = rgb.convert("L")
        if rgb.size != (width, height):
            rgb = ImageOps.fit(rgb, (width, height), Image.Resampling.BILINEAR)
        return np.asarray(rgb).reshape(height, width, channels).transpose(2, 0, 1)
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is corrupt or not an image") from error
    except Exception as error:  # Pillow's decoders raise almost any type
        raise ValueError(f"{path} cannot be decoded ({error or type(error).__name__})") from error


def in_threads(function: Callable[[int], None], count: int, description: str) -> None:
    """Call ``function(i)`` for i in [0, count) in one thread per core.

    Shows a progress bar if stderr is a terminal, otherwise one line. Of several errors that of the lowest i is raised;
    calls that have not started by then are skipped.
    """

    def call(start: int) -> None:
        for i in range(start, min(start + _CHUNK, count)):
            function(i)

    starts = range(0, count, _CHUNK)
    with ThreadPoolExecutor(count_cores()) as threads:
        description += f" ({count} files)"
        if not on_terminal():
            print(description, file=sys.stderr, flush=True)
        with Bar(description, count) as bar:
            for start, _ in zip(starts, threads.map(call, starts), strict=True):
                bar.update(min(_CHUNK, count - start))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("the range of float pixels is unknown; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # "I;16" and its byte orders; "I" is how Pillow opens 16-bit PGM
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("gray values must fit in 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
