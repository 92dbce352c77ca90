"""A mask against the truth on its photo: what is right, wrong and missed, in three colours and three patterns."""

import io

import numpy as np
from PIL import Image, ImageDraw

from miras.data.masks import box
from miras.errors import MaskError
from miras.pages.draw import PALETTE

__all__ = ["COLORS", "MEANINGS", "as_jpeg", "marked_photo", "swatch"]

COLORS = {"right": PALETTE[0], "wrong": PALETTE[3], "missed": PALETTE[6]}
"""Blue, vermilion and yellow: of Okabe and Ito's colours the three that lie farthest apart to every kind of eye."""
MEANINGS = {
    "right": "marked rightly (blue, plain)",
    "wrong": "marked wrongly (vermilion, striped)",
    "missed": "missed (yellow, dotted)",
}
"""In words."""

_SMALL = 0.22
"""Share of the longest side below which what matters is also shown enlarged."""
_INSET = 0.42
"""Side of the enlarged part, as a share of the picture's shorter side."""
_STRIPE = 6
"""Pixels from one stripe or dot to the next."""
_QUALITIES = (86, 78, 68, 56, 44, 32, 20)


def marked_photo(
    image: np.ndarray,
    truth: np.ndarray,
    marked: np.ndarray | None,
    longest: int,
    *,
    beside: np.ndarray | None = None,
) -> np.ndarray:
    """(H, W, 3) uint8 photo, (H, W) bool truth and prediction → (h, w, 3) uint8, no side over `longest`.

    The true outline is white. Where both masks are small together, a corner away from them shows them enlarged; with
    the mask of the picture beside it, (H, W) bool, both pictures enlarge the same part.
    Raises MaskError where the shapes differ.
    """
    marked = np.zeros_like(truth) if marked is None else marked
    if truth.shape != image.shape[:2] or marked.shape != truth.shape:
        raise MaskError(
            f"the photo has {image.shape[:2]} pixels, the true mask {truth.shape}, the other {marked.shape}; use the "
            "image that the masks belong to"
        )
    height, width = image.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    painted = _painted(image, truth, marked, size)
    bounds = box(truth | marked if beside is None else truth | marked | beside)
    if bounds is None or max(bounds[2] - bounds[0], bounds[3] - bounds[1]) > _SMALL * max(height, width):
        return painted
    return _with_inset(painted, image, truth, marked, bounds)


def swatch(name: str, size: int = 26) -> np.ndarray:
    """(size, size, 3) uint8 patch of one of COLORS as it looks on a grey photo."""
    grey, whole = np.full((size, size, 3), 128, dtype=np.uint8), np.ones((size, size), dtype=bool)
    truth, marked = whole & (name != "wrong"), whole & (name != "missed")
    return _fill(grey, truth, marked)


def as_jpeg(array: np.ndarray, most: int) -> bytes:
    """(H, W, 3) uint8 as a JPEG of at most so many bytes: the best quality that fits, else the smallest there is."""
    picture = Image.fromarray(array)
    data = b""
    for quality in _QUALITIES:
        written = io.BytesIO()
        picture.save(written, format="JPEG", quality=quality, optimize=True)
        data = written.getvalue()
        if len(data) <= most:
            break
    return data


def _painted(image: np.ndarray, truth: np.ndarray, marked: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    photo = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    small_truth, small_marked = (_scaled(mask, size) for mask in (truth, marked))
    painted = _fill(photo, small_truth, small_marked)
    edge = small_truth & ~_inner(small_truth)
    painted[edge] = 255
    return painted


def _fill(photo: np.ndarray, truth: np.ndarray, marked: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(truth.shape)
    stripes = (rows + columns) % _STRIPE < 2
    dots = (rows % _STRIPE < 2) & ((columns + rows // _STRIPE % 2 * (_STRIPE // 2)) % _STRIPE < 2)
    painted = photo.astype(np.float32)
    for name, region, pattern in (
        ("right", truth & marked, np.zeros_like(truth)),
        ("wrong", marked & ~truth, stripes),
        ("missed", truth & ~marked, dots),
    ):
        color = np.array(COLORS[name], dtype=np.float32)
        painted[region] = painted[region] * 0.45 + color * 0.55
        # light stripes and dark dots: both can be told in grey, and from what is plain
        painted[region & pattern] = color * 0.25 if name == "missed" else 255 - (255 - color) * 0.3
    return painted.round().astype(np.uint8)


def _with_inset(
    painted: np.ndarray, image: np.ndarray, truth: np.ndarray, marked: np.ndarray, bounds: tuple[int, int, int, int]
) -> np.ndarray:
    height, width = image.shape[:2]
    left, top, right, bottom = bounds
    side = min(max(round(max(right - left, bottom - top) * 1.5), 24), height, width)
    x = int(np.clip((left + right - side) // 2, 0, width - side))
    y = int(np.clip((top + bottom - side) // 2, 0, height - side))
    part = (slice(y, y + side), slice(x, x + side))
    edge = round(_INSET * min(painted.shape[:2]))
    if edge < 32:
        return painted
    enlarged = _painted(image[part], truth[part], marked[part], (edge, edge))
    picture = Image.fromarray(painted)
    draw = ImageDraw.Draw(picture)
    scale = painted.shape[1] / width
    frame = [x * scale, y * scale, (x + side) * scale, (y + side) * scale]
    draw.rectangle([frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1], outline="black")
    draw.rectangle(frame, outline="white")
    # the corner whose middle lies farthest from what is enlarged
    corners = [(0, 0), (painted.shape[1] - edge, 0), (0, painted.shape[0] - edge),
               (painted.shape[1] - edge, painted.shape[0] - edge)]  # fmt: skip
    middle = ((frame[0] + frame[2] - edge) / 2, (frame[1] + frame[3] - edge) / 2)
    place = max(corners, key=lambda one: (one[0] - middle[0]) ** 2 + (one[1] - middle[1]) ** 2)
    picture.paste(Image.fromarray(enlarged), place)
    draw.rectangle([place[0], place[1], place[0] + edge - 1, place[1] + edge - 1], outline="white", width=3)
    draw.rectangle([place[0], place[1], place[0] + edge - 1, place[1] + edge - 1], outline="black", width=1)
    return np.asarray(picture)


def _scaled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask at (width, height) `size`; a small one does not vanish."""
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    scaled = np.asarray(picture.resize(size, Image.Resampling.BOX))
    # a target of a pixel or two would be averaged away
    return scaled >= (128 if (scaled >= 128).any() or not mask.any() else max(1, int(scaled.max())))


def _inner(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool without the pixels at its edge; the frame of the picture is no edge."""
    padded = np.pad(mask, 1, constant_values=True)
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
