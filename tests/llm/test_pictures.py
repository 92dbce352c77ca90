"""What a server is shown of an image: upright, small, and nothing about who took it."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miras.errors import ImageError
from miras.llm.pictures import Sent, sent


def _save(path: Path, seed: int, **options: object) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((90, 80), Image.Resampling.NEAREST).save(path, **options)  # type: ignore[arg-type]
    return path


def _opened(shown: Sent) -> tuple[bytes, Image.Image]:
    head, _, content = shown.uri.partition(",")
    assert head == "data:image/jpeg;base64"
    raw = base64.b64decode(content)
    image = Image.open(io.BytesIO(raw))
    assert image.size == shown.size[::-1]
    return raw, image


def test_shown_small_upright_and_without_notes(tmp_path: Path) -> None:
    plain = _save(tmp_path / "plain.jpg", 0, quality=90)
    assert _opened(sent(plain))[0] == plain.read_bytes() and sent(plain).original == (80, 90)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera of Jane Doe"  # a quarter turn, and who took it
    turned = sent(_save(tmp_path / "turned.jpg", 1, exif=exif))
    raw, image = _opened(turned)
    assert image.size == (80, 90) and b"Jane Doe" not in raw and turned.original == (90, 80)
    Image.new("RGB", (3000, 7)).save(tmp_path / "wide.png")
    wide = sent(tmp_path / "wide.png")
    assert _opened(wide)[1].size == (1024, 2) and wide.original == (7, 3000)
    assert _opened(sent(plain, longest=45))[1].size == (45, 40)
    with pytest.raises(ImageError, match="no image at"):
        sent(tmp_path / "absent.png")
