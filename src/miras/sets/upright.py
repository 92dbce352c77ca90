"""How the stored pixels of a photo, in which most sets are annotated, lie in the upright image that training sees."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from miras.data.images import LYING, ORIENTATION
from miras.errors import DataError, ImageError

__all__ = ["Frame", "photo_frame"]


@dataclass(frozen=True)
class Frame:
    """The pixels that an annotation counts in, and how to turn them upright."""

    height: int
    width: int
    turn: int = 1
    """EXIF's orientation, 1 for upright."""

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """(height, width) in the frame of the annotation → (H, W) as `load_image` turns the photo."""
        turned = pixels.T if self.turn in LYING else pixels
        rows = -1 if self.turn in (3, 4, 7, 8) else 1
        columns = -1 if self.turn in (2, 3, 6, 7) else 1
        return turned[::rows, ::columns]


def photo_frame(photo: Path, size: tuple[int, int], where: str) -> Frame:
    """The frame of an annotation of `size` (height, width); the photo's header is read, its pixels are not.

    An annotation as large as the stored photo is turned with it; one as large as the upright photo alone is taken as
    it is. Raises ImageError for a photo that is missing or broken, DataError, which begins with `where`, for one of
    another size.
    """
    try:
        with Image.open(photo) as image:
            stored, turn = (image.height, image.width), image.getexif().get(ORIENTATION, 1)
    except FileNotFoundError as error:
        raise ImageError(f"no photo at {photo}, which {where} is about; `miras data check` says where from") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{photo} is no image that Pillow reads ({error}); fetch it again") from error
    if size == stored:
        return Frame(*size, turn if turn in range(1, 9) else 1)
    if size == stored[::-1] and turn in LYING:
        return Frame(*size)
    raise DataError(
        f"{where} is of {size[0]}x{size[1]} pixels, {photo} has {stored[0]}x{stored[1]}; take both from one release"
    )
