"""Images from outside: few formats, the size read before anything is decoded, one error for all that fails."""

import io
import warnings

import numpy as np
from PIL import Image

from miras.data.images import load_image
from miras.errors import ImageError
from miras.serve.http.refusals import Refusal

__all__ = ["FORMATS", "read_image"]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""What is decoded, of moving pictures the first frame; Pillow's other decoders are never reached."""

_SCANS = 100
"""Most passes of a JPEG: encoders write about ten, each costs a walk over the whole image."""


def read_image(content: bytes, pixels: int) -> np.ndarray:
    """An image file's bytes → (H, W, 3) uint8 RGB, upright.

    Raises ImageError for what is no image, broken, or of another format, Refusal with 413 for more than `pixels`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check(image, content, pixels)
                return np.ascontiguousarray(load_image(image))
    except (ImageError, Refusal):
        raise
    except Image.DecompressionBombError as error:  # raised before the size can be asked
        raise _too_large("far more", pixels) from error
    except Exception as error:  # a file that was made to do harm can raise anything in Pillow
        raise ImageError(
            f"the image is no whole file of {', '.join(FORMATS)} ({type(error).__name__}); save it again as PNG or JPEG"
        ) from error


def _check(image: Image.Image, content: bytes, pixels: int) -> None:
    if image.width * image.height > pixels:
        raise _too_large(f"{image.width} x {image.height}", pixels)
    if image.format in ("JPEG", "MPO") and content.count(b"\xff\xda") > _SCANS:
        raise ImageError(f"the JPEG is written in more than {_SCANS} passes; save it again")


def _too_large(found: str, pixels: int) -> Refusal:
    return Refusal(
        413, "image_too_large", f"the image has {found} pixels, at most {pixels:,} are taken; scale it down first"
    )
