"""Images as a server is shown them: upright, small enough, without notes about who took them and where."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from miras.data.images import load_image

__all__ = ["LONGEST", "Sent", "sent"]

LONGEST = 1024
"""Longest side in pixels of what is sent, where nothing else is asked for."""

_LARGEST = 512 * 1024
"""Bytes of a JPEG that is small enough to be sent as it is."""


@dataclass(frozen=True)
class Sent:
    """An image as it is sent."""

    uri: str = field(repr=False)
    """A data URI."""
    size: tuple[int, int]
    """(height, width) in pixels of what is sent."""
    original: tuple[int, int]
    """(height, width) in pixels of the upright original."""


def sent(path: Path, longest: int = LONGEST) -> Sent:
    """The image as a JPEG of at most `longest` pixels a side. Raises ImageError when it cannot be read."""
    pixels = load_image(path)
    height, width = pixels.shape[:2]
    if _plain_jpeg(path, pixels.shape, longest):
        content, size = path.read_bytes(), (height, width)
    else:
        image = Image.fromarray(pixels)
        image.thumbnail((longest, longest), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, format="JPEG", quality=90)
        content, size = file.getvalue(), (image.height, image.width)
    return Sent(f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}", size, (height, width))


def _plain_jpeg(path: Path, shape: Iterable[int], longest: int) -> bool:
    """Whether the file can be sent as it is: a small upright JPEG without notes about who took it and where."""
    with Image.open(path) as image:
        plain = image.format == "JPEG" and image.mode == "RGB" and not image.getexif()
    return plain and max(shape) <= longest and path.stat().st_size <= _LARGEST
