"""Images: every kind of file comes out as upright RGB, what is broken is refused, and the canvas maps both ways."""

import io
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from miras.data.images import MAX_PIXELS, Canvas, blank_image, load_image, to_rgb
from miras.errors import ImageError

NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I", "I;16", "F", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    pixels = to_rgb(Image.new(mode, (3, 2)))
    assert (pixels.shape, pixels.dtype) == ((2, 3, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("L", (1, 1), 100), (100, 100, 100)),
        (Image.new("LA", (1, 1), (100, 0)), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (10, 20, 30, 255)), (10, 20, 30)),
        (Image.new("RGBA", (1, 1), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), (255, 0, 0)),
        (Image.new("RGB", (1, 1), "red").convert("P"), (255, 0, 0)),
        (Image.new("I;16", (1, 1), 65535), (255, 255, 255)),
        (Image.new("I;16", (1, 1), 32896), (128, 128, 128)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_colours_survive_the_way_through_a_file(image: Image.Image, expected: tuple[int, int, int]) -> None:
    data = file_of(image, "TIFF" if image.mode == "CMYK" else "PNG")
    assert tuple(load_image(data)[0, 0]) == expected


def test_a_transparent_palette_entry_is_white() -> None:
    data = file_of(Image.new("P", (2, 2), 0), transparency=0)
    assert (load_image(data) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright(orientation: int, tmp_path: Path) -> None:
    # the top left corner of the upright image is red, wherever the camera put it
    upright = Image.new("RGB", (32, 16), "blue")
    upright.paste("red", (0, 0, 8, 8))
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if turned is None else upright.transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    pixels = load_image(tmp_path / "a.jpg")
    assert pixels.shape == (16, 32, 3)
    assert pixels[2, 2, 0] > 200
    assert pixels[2, 20, 2] > 200


def test_arrays_paths_bytes_files_and_pil_images_agree(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path)
    with path.open("rb") as file:
        for source in (NOISE, path, str(path), path.read_bytes(), file, Image.fromarray(NOISE)):
            assert np.array_equal(load_image(source), NOISE)
    assert load_image(NOISE[..., 0]).shape == (40, 60, 3)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 1), (4, 4, 2), (4, 4, 5), (0, 4, 3), (1, 4, 4, 3)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="uint8, got"):
        load_image(np.zeros(shape, dtype=np.uint8))
    with pytest.raises(ImageError, match="float64"):
        load_image(np.zeros((4, 4, 3)))


def test_broken_input_is_named(tmp_path: Path) -> None:
    jpeg = file_of(Image.fromarray(NOISE), "JPEG")
    png = file_of(Image.fromarray(NOISE))
    cut, text = tmp_path / "cut.jpg", tmp_path / "text.png"
    cut.write_bytes(jpeg[: len(jpeg) // 2])
    text.write_text("hello", encoding="utf-8")
    cases: list[tuple[Any, str]] = [
        (cut, "cut.jpg is a broken or cut-off"),
        (png[:100], "given as bytes is a broken or cut-off"),
        (png[:60] + bytes(40) + png[100:], "broken or cut-off"),
        (b"", "not an image in a format"),
        (text, "text.png is not an image in a format"),
        (tmp_path / "none.png", "no image at .*none.png; check the path"),
        (tmp_path, "is a folder; give the path of one image"),
        ("a\0b", "null byte"),
        (3, "given as int is not a path"),
        (None, "NoneType is not a path"),
    ]
    for source, message in cases:
        with pytest.raises(ImageError, match=message):
            load_image(source)
    with Image.open(cut) as lazy, pytest.raises(ImageError, match="cut-off"):
        load_image(lazy)


def _zeros(side: int) -> bytes:
    """A PNG of side x side pixels whose header is true and whose pixels are never read."""
    start = file_of(Image.new("1", (8, 8)))
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return start[:12] + head + struct.pack(">I", zlib.crc32(head)) + start[33:]


@pytest.mark.parametrize("side", [10_001, 12_000, 30_000])
def test_huge_images_are_refused_before_they_are_decoded(side: int) -> None:
    started = time.perf_counter()
    with pytest.raises(ImageError, match=f"{MAX_PIXELS:,}"):
        load_image(_zeros(side))
    assert time.perf_counter() - started < 0.5


SIZES = [(1, 1), (1, 1000), (1000, 1), (3000, 7), (7, 300), (448, 299), (31, 64)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_view_pads_bottom_right_with_the_mean(height: int, width: int) -> None:
    canvas = Canvas(height, width)
    view = canvas.view(np.full((height, width, 3), 255, dtype=np.uint8), 64)
    rows, columns = canvas.content_pixels(64)
    assert view.shape == (3, 64, 64)
    assert max(rows, columns) == 64
    assert min(rows, columns) >= 1
    assert (view[:, :rows, :columns] > 2).all()
    assert not view[:, rows:].any()
    assert not view[:, :, columns:].any()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_logits_come_back_in_original_pixels(height: int, width: int) -> None:
    canvas = Canvas(height, width)
    full = canvas.to_original(torch.ones(2, 3, 56, 56))
    assert full.shape == (2, 3, height, width)
    assert (full == 1).all()


@pytest.mark.parametrize(("height", "width"), [(300, 400), (448, 299), (40, 1000), (97, 101)])
def test_a_mask_survives_the_canvas(height: int, width: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    mask = ((rows - height * 0.5) / (height * 0.3)) ** 2 + ((columns - width * 0.6) / (width * 0.2)) ** 2 < 1
    canvas = Canvas(height, width)
    back = canvas.to_original(canvas.mask_view(mask, 224) - 0.5).numpy() > 0
    assert (mask & back).sum() / (mask | back).sum() > 0.94


def test_mask_view_holds_shares() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = True
    view = Canvas(4, 4).mask_view(mask, 2)
    assert view[0, 0].item() == pytest.approx(0.25, abs=0.01)
    assert view.sum().item() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(10, 10, 16), (10, 5, 8), (5, 10, 8), (1, 1000, 4), (1000, 1, 4), (10, 6, 8), (10, 7, 12)],
)
def test_cells_hold_at_least_half_a_cell_of_pixels(height: int, width: int, expected: int) -> None:
    # 4 x 4 cells: a side of 0.6 covers 2.4 of 4 cells, of 0.7 covers 2.8, so the third counts from 2.5 on
    assert Canvas(height, width).cells(4).sum().item() == expected


def test_a_blank_image_has_one_colour_which_normalises_to_nothing() -> None:
    blank = blank_image(3, 5)
    assert (blank.shape, blank.dtype) == ((3, 5, 3), np.uint8)
    assert (blank == blank[0, 0]).all()
    assert Canvas(3, 5).view(blank, 8).abs().max() < 0.02
