"""Image files that are spoilt on purpose: flipped bits, missing ends, foreign headers, huge sizes, bombs."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from PIL import Image

__all__ = ["BOMBS", "bomb", "spoilt", "whole_images"]

_FORMS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "P", {}), ("PNG", "I;16", {}), ("PNG", "1", {}), ("PNG", "LA", {}),
    ("JPEG", "RGB", {}), ("JPEG", "RGB", {"progressive": True}), ("JPEG", "L", {}), ("JPEG", "CMYK", {}),
    ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}), ("GIF", "P", {}), ("BMP", "RGB", {}), ("BMP", "P", {}),
    ("TIFF", "RGB", {}), ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "L", {"compression": "tiff_deflate"}),
    ("TIFF", "CMYK", {"compression": "jpeg"}), ("TIFF", "F", {}), ("TIFF", "1", {"compression": "group4"}),
)  # fmt: skip


@cache
def whole_images() -> tuple[bytes, ...]:
    """Small files of every format that Pillow is asked for here, with odd modes, EXIF and several frames."""
    coarse = np.random.default_rng(5).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse.repeat(7, 0).repeat(6, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for form, mode, options in _FORMS:
        turned = picture.convert("L").convert(mode) if mode in ("I;16", "F", "1") else picture.convert(mode)
        files.append(_file(turned, form, **options))
    files += [_file(picture, form, exif=exif) for form in ("JPEG", "PNG", "WEBP")]
    files += [
        _file(picture, form, save_all=True, append_images=[picture.rotate(90)] * 2) for form in ("GIF", "TIFF", "PNG")
    ]
    return tuple(files)


def spoilt(number: int) -> bytes:
    """The `number`-th spoilt file, always the same; some happen to be good images still."""
    rng = np.random.default_rng(number)
    data = whole_images()[number % len(whole_images())]
    for _ in range(int(rng.integers(1, 4))):
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        data = change(data, rng) if data else data
    return data


def _file(picture: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    """Up to 20 bits, every second time in the first 200 bytes alone, where the sizes stand."""
    array = np.frombuffer(data, np.uint8).copy()
    reach = min(len(array), 200) if rng.integers(2) else len(array)
    places = rng.integers(0, reach, int(rng.integers(1, 21)))
    array[places] ^= np.left_shift(1, rng.integers(0, 8, len(places))).astype(np.uint8)
    return array.tobytes()


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(0, len(data) + 1))]


def _head(data: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of another file before this one's rest."""
    other = whole_images()[int(rng.integers(len(whole_images())))]
    length = int(rng.integers(1, 64))
    return other[:length] + data[length:]


def _huge(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of 2 or 4 bytes near the beginning becomes very large."""
    place, size = int(rng.integers(4, 64)), int(rng.choice([2, 4]))
    return data[:place] + bytes([int(rng.choice([0x7F, 0xFF]))]) * size + data[place + size :]


def _again(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch is put in a second time, somewhere else."""
    start, place = (int(rng.integers(len(data))) for _ in range(2))
    return data[:place] + data[start : start + int(rng.integers(1, 400))] + data[place:]


def _out(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(data)))
    return data[:start] + data[start + int(rng.integers(1, 100)) :]


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(data)))
    return data[:start] + rng.bytes(int(rng.integers(1, 200))) + data[start:]


_CHANGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    _flip, _flip, _cut, _head, _huge, _again, _out, _noise,
)  # fmt: skip


def _png(width: int, height: int, packed: bytes, *more: tuple[bytes, bytes]) -> bytes:
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        *more,
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _zeros(count: int) -> Iterator[bytes]:
    """`count` MiB of zeros, packed as they come."""
    packer = zlib.compressobj(9)
    for _ in range(count):
        yield packer.compress(bytes(2**20))
    yield packer.flush()


@cache
def bomb(name: str) -> bytes:
    """The file that one of BOMBS names."""
    zeros = b"".join(_zeros(64))
    gif = whole_images()[12]
    return {
        "png of 10 gigapixels": lambda: _png(100_000, 100_000, zeros),
        "png of 2^31 columns": lambda: _png(2**31 - 1, 1, zeros),
        "png of 101 megapixels": lambda: _png(10_100, 10_000, zeros),
        "png with a text of 64 MiB": lambda: _png(8, 8, zeros, (b"zTXt", b"note\0\0" + zeros)),
        "png with a profile of 64 MiB": lambda: _png(8, 8, zeros, (b"iCCP", b"icc\0\0" + zeros)),
        "png of no width": lambda: _png(0, 8, zeros),
        "gif of 4 gigapixels": lambda: gif[:6] + b"\xff\xff\xff\xff" + gif[10:],
        "bmp of 2^31 rows": lambda: whole_images()[13][:18] + b"\xff\xff\xff\x7f" * 2 + whole_images()[13][26:],
        "pnm of 10 gigapixels": lambda: b"P6\n100000 100000\n255\n" + bytes(100),
        "zeros": lambda: bytes(2**20),
        "nothing": lambda: b"",
    }[name]()


BOMBS = (
    "png of 10 gigapixels", "png of 2^31 columns", "png of 101 megapixels", "png of no width", "gif of 4 gigapixels",
    "bmp of 2^31 rows", "pnm of 10 gigapixels", "png with a text of 64 MiB", "png with a profile of 64 MiB", "zeros",
    "nothing",
)  # fmt: skip
"""Names of files that are small and would become large, and of some that hold nothing."""
