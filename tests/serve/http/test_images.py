"""Images from outside."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.model.conftest import new_picture
from tests.serve.http.conftest import file_of

from miras.errors import ImageError
from miras.serve.http.images import read_image
from miras.serve.http.refusals import Refusal

PICTURE = new_picture(24, 40)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_these_formats_are_read(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    read = read_image(file_of(PICTURE, kind, **options), 1000)
    assert read.shape == PICTURE.shape
    assert kind == "JPEG" or np.array_equal(read, PICTURE)


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "PDF", "ICO", "EPS"])
def test_other_formats_are_not(kind: str) -> None:
    with pytest.raises(ImageError, match="PNG or JPEG"):
        read_image(file_of(PICTURE, kind), 10**9)


def test_a_photo_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(file_of(PICTURE, "JPEG", exif=exif), 1000).shape == (40, 24, 3)


def test_a_bomb_is_refused_by_its_header() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    with pytest.raises((Refusal, ImageError)):
        read_image(bomb, 25_000_000)


def test_a_jpeg_of_endless_passes_is_refused() -> None:
    content = file_of(PICTURE, "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="passes"):
        read_image(content[:last] + content[last:-2] * 200 + content[-2:], 1000)


@given(st.sampled_from(["PNG", "BMP", "GIF", "WEBP", "JPEG"]), st.data())
def test_a_damaged_file_is_an_image_or_an_error(kind: str, data: st.DataObject) -> None:
    content = bytearray(file_of(PICTURE, kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_image(bytes(content[: data.draw(st.integers(0, len(content)))]), 100_000)
    except (ImageError, Refusal):
        return
    assert read.dtype == np.uint8
    assert read.ndim == 3
