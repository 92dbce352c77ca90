"""Images in and out, and the one place that maps between original pixels and the model's canvas.

The canvas is a square: the image's longest side fills it, the rest is padded at the bottom right with the
mean colour. Every view the model sees is a scaling of that canvas, so all grids stay aligned.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from miras.errors import ImageError

__all__ = [
    "LYING",
    "MAX_PIXELS",
    "MEAN",
    "ORIENTATION",
    "STD",
    "Canvas",
    "blank_image",
    "image_size",
    "load_image",
    "to_rgb",
]

MAX_PIXELS = 100_000_000
"""Images with more pixels are refused before they are decoded."""

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's channels in 0..1, by which every view is normalised."""

ORIENTATION = 0x0112
"""The EXIF entry that says how the stored pixels are turned."""
LYING = range(5, 9)
"""EXIF's ways to turn an image by which height and width change places."""


def blank_image(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8: an image without content, in the mean colour, which the normalisation takes to 0."""
    return np.full((height, width, 3), [round(255 * channel) for channel in MEAN], dtype=np.uint8)


def load_image(source: str | Path | bytes | BinaryIO | Image.Image | np.ndarray) -> np.ndarray:
    """Any image file, bytes, PIL image or array → (H, W, 3) uint8 RGB, upright.

    Raises ImageError for what is missing, not an image, broken, cut off, or over MAX_PIXELS.
    """
    if isinstance(source, np.ndarray):
        return to_rgb(_from_array(source))
    name = str(source) if isinstance(source, str | Path) else f"the image given as {type(source).__name__}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if isinstance(source, Image.Image):
                _check_size(source.size, name)
                return to_rgb(source)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                _check_size(image.size, name)
                return to_rgb(image)
    except FileNotFoundError as error:
        raise ImageError(f"no image at {name}; check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder; give the path of one image in it") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image in a format that Pillow reads; save it as PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} holds too many pixels ({error}); scale it down below {MAX_PIXELS:,} pixels"
        ) from error
    except (AttributeError, TypeError) as error:
        raise ImageError(f"{name} is not a path, bytes, file, PIL image or array; open it first ({error})") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{name} is a broken or cut-off image ({error}); save it again") from error


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of the upright image, without reading its pixels. Raises ImageError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _check_size(image.size, str(path))
                width, height = image.size
                return (width, height) if image.getexif().get(ORIENTATION) in LYING else (height, width)
    except FileNotFoundError as error:
        raise ImageError(f"no image at {path}; check the path") from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} is no image that Pillow reads ({error}); save it again as PNG or JPEG") from error


def _check_size(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(
            f"{name} has {size[0]} x {size[1]} pixels, at most {MAX_PIXELS:,} are taken; scale it down first"
        )


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)) or not array.size:
        raise ImageError(
            f"an image array is (H, W), (H, W, 3) or (H, W, 4) uint8, got {array.shape} {array.dtype}; convert it first"
        )
    return Image.fromarray(array)


def to_rgb(image: Image.Image) -> np.ndarray:
    """Any PIL mode → (H, W, 3) uint8 RGB, turned upright by its EXIF tag, transparency laid on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        image = _scale_to_bytes(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def _scale_to_bytes(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    top = 65535.0 if values.max(initial=0) > 255 else 255.0
    return Image.fromarray((values.clip(0, top) / top * 255).round().astype(np.uint8))


@dataclass(frozen=True)
class Canvas:
    """How an image of `height` x `width` original pixels lies on a square canvas of any size."""

    height: int
    width: int

    @property
    def content(self) -> tuple[float, float]:
        """(height, width) of the real pixels as a share of the canvas, 0..1."""
        longest = max(self.height, self.width)
        return self.height / longest, self.width / longest

    def content_pixels(self, size: int) -> tuple[int, int]:
        """(rows, columns) of a `size` x `size` view that hold real pixels; at least one each."""
        rows, columns = (max(1, round(share * size)) for share in self.content)
        return rows, columns

    def view(self, image: np.ndarray, size: int) -> Tensor:
        """(H, W, 3) uint8 → (3, size, size) normalised; the padding holds the mean colour, which is 0.

        A size of 0 is the view of a model that does not look: it holds nothing.
        """
        if not size:
            return torch.zeros(3, 0, 0)
        rows, columns = self.content_pixels(size)
        scaled = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR, reducing_gap=3.0)
        pixels = torch.from_numpy(np.array(scaled)).float().div_(255)
        view = torch.zeros(size, size, 3)
        view[:rows, :columns] = (pixels - torch.tensor(MEAN)) / torch.tensor(STD)
        return view.permute(2, 0, 1)

    def mask_view(self, mask: np.ndarray, size: int) -> Tensor:
        """(H, W) bool in original pixels → (size, size) float share of each canvas pixel, 0..1."""
        rows, columns = self.content_pixels(size)
        scaled = Image.fromarray(mask.astype(np.uint8) * 255).resize((columns, rows), Image.Resampling.BOX)
        view = torch.zeros(size, size)
        view[:rows, :columns] = torch.from_numpy(np.array(scaled)).float().div_(255)
        return view

    def to_original(self, logits: Tensor) -> Tensor:
        """(..., h, h) canvas logits → (..., H, W) logits in original pixels, padding cut off."""
        size = logits.shape[-1]
        rows, columns = self.content_pixels(size)
        real = logits[..., :rows, :columns].reshape(-1, 1, rows, columns).float()
        full = F.interpolate(real, (self.height, self.width), mode="bilinear", align_corners=False)
        return full.reshape(*logits.shape[:-2], self.height, self.width)

    def cells(self, grid: int) -> Tensor:
        """(grid · grid,) bool: cells of a square grid that hold at least half a cell of real pixels.

        The first row and column always count, so every image has at least one cell.
        """
        height, width = (torch.arange(grid) + 0.5 <= share * grid for share in self.content)
        height[0] = width[0] = True
        return (height[:, None] & width[None, :]).flatten()
