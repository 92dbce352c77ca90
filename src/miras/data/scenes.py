"""Scenes in which one must read the words: several photos on one image, and cut-out objects laid on a photo.

Annotations of different sources do not know each other: a face photo has no mask for `person`. A class is
therefore kept only while everything that the words could mean in the scene is masked.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from miras.data.augment import remain, resize, scaled_mask
from miras.data.masks import box, decode
from miras.data.photos import Photo, PhotoObject
from miras.errors import DataError, ImageError

__all__ = ["Cutout", "clean_name", "load_cutouts", "mosaic", "paste"]

_LONGEST = 448
_ASPECTS = (0.6, 1.7)
"""Smallest and largest width / height of a mosaic, where the photos allow it."""
_ROWS = {2: [(2,), (1, 1)], 3: [(1, 2), (2, 1), (3,), (1, 1, 1)], 4: [(2, 2), (1, 3), (3, 1), (1, 2, 1)]}
_SHARES = (0.001, 0.12)
"""Smallest and largest share of the photo that the frame of a cut-out takes: fine to coarse."""
_LARGEST_SCALE = 2.5
_MIN_PIXELS = 16
_TRIES = 12
_PICTURE = {"photo", "picture", "profile", "view", "very", "another", "photograph"}
_NAMELESS = {"final roll call", "boom", "school ahead", "dead end ahead", "no u-turn", "toilets", "bradley", "raptor"}
"""Names of pictures of the cut-outs that do not say what is to be seen."""
_NOUNS = {
    "apple": {"golden delicious", "granny smith", "pink lady", "red delicious", "royal gala"},
    "pear": {"anjou", "conference", "kaiser"},
    "sign": {"school crossing", "pedestrian crossing", "railroad crossing"},
}
"""The noun that completes a name."""
_SMALL = {"a", "an", "the", "of", "and", "with", "in", "used", "small", "big", "old"}

_BODY = "hair,skin,face skin,nose,mouth,eyes"
_WORN = (
    "shoes,bag,pants,sunglasses,dress,purse,coat,blouse,accessories,belt,shirt,skirt,jeans,sweater,hat,t-shirt,"
    "stockings,blazer,suit,jacket,bracelet,scarf,sandals,boots,socks,top,vest,shorts,leggings,sweatshirt,necklace,"
    "watch,cape,romper,wallet,jumper,heels,loafers,tie,glasses,gloves,cardigan,pumps,sneakers,bodysuit,tights,flats,"
    "ring,wedges,hoodie,earrings,bra,handbag,backpack"
)
_ANIMALS = (
    "bear,cat,dog,american bulldog,elephant,rhesus monkey,tiger,turtle,deer,butterfly,kangaroo,crab,crayfish,dolphin,"
    "emu,beaver,brontosaurus,crocodile,panda,ant,giraffe,zebra,cow,horse,sheep,bird,bunny,chick,bluebird,animals"
)
_CAR_PARTS = (
    "wheel,left mirror,right mirror,front bumper,rear bumper,front left headlight,front right headlight,hood,"
    "rear left light,rear right light,windshield,rear window,front left door,front right door,rear left door,"
    "rear right door,trunk,tailgate"
)
_HINTS = (
    (f"person,people,fireman,paratrooper,astronaut,santa,doll,{_BODY},{_WORN}", f"person,{_BODY},{_WORN}"),
    (_ANIMALS, "nose,mouth,eyes"),
    (f"car,truck,bus,vehicles,{_CAR_PARTS}", f"car,window,{_CAR_PARTS}"),
    ("bicycle,motorbike,motorcycle", "wheel,bicycle,motorbike,motorcycle"),
    ("building facade,shop front,balcony railing,street", "building facade,window,street,fence,vegetation"),
    ("bonsai,potted plant,vegetation,plants", "vegetation,potted plant,bonsai"),
    ("plate,dining table,bowl,rice,food", "plate,bowl,dining table"),
)
_SHOWS = [(frozenset(seen.split(",")), frozenset(shown.split(","))) for seen, shown in _HINTS]
"""(classes or categories, what is to be seen wherever one of them is): masked there or not."""
_BACKGROUND = frozenset(
    ["building facade", "window", "street", "fence", "vegetation", "traffic infrastructure", "non-building structure"]
)
_OUTDOORS = frozenset(f"person,car,truck,bus,bicycle,motorbike,airplane,boat,{_ANIMALS},{_CAR_PARTS}".split(","))
"""Classes whose photos often show the background classes without masking them."""


def mosaic(photos: Sequence[Photo], rng: np.random.Generator) -> Photo:
    """2 to 4 photos side by side and below each other on one image whose longest side is about 448 px.

    Objects of one plain class become one union, `leftmost …` of a class that several photos show is dropped, and
    so is a class that one of the photos shows without masking it. Raises DataError for other numbers of photos.
    """
    if not 2 <= len(photos) <= 4:
        raise DataError(f"a mosaic takes 2 to 4 photos, got {len(photos)}; choose some of them")
    places = _places([photo.size[1] / photo.size[0] for photo in photos], rng)
    height, width = max(place[3] for place in places), max(place[2] for place in places)
    pixels = np.zeros((height, width, 3), np.uint8)
    found: dict[str, list[tuple[int, PhotoObject, np.ndarray]]] = {}
    for index, (photo, (left, top, right, bottom)) in enumerate(zip(photos, places, strict=True)):
        tile = resize(replace(photo, objects=()), bottom - top, right - left)
        pixels[top:bottom, left:right] = tile.pixels()
        for thing in photo.objects:
            mask = np.zeros((height, width), bool)
            mask[top:bottom, left:right] = scaled_mask(decode(thing.mask), bottom - top, right - left)
            if np.count_nonzero(mask) >= _MIN_PIXELS:
                found.setdefault(thing.class_name, []).append((index, thing, mask))
    objects = [thing for name, group in found.items() if not _ambiguous(name, photos) for thing in _merged(group)]
    path = Path("+".join(photo.path.stem for photo in photos))
    return Photo(path, tuple(objects), "mosaic", _joined(photo.license for photo in photos), pixels)


def _places(aspects: Sequence[float], rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    """(left, top, right, bottom) of each photo: rows of equal width, each row of one height, nothing cut off."""

    def row_heights(layout: Sequence[int]) -> list[float]:
        ends = np.cumsum(layout)
        return [1 / sum(aspects[end - size : end]) for size, end in zip(layout, ends, strict=True)]

    shapes = {layout: 1 / sum(row_heights(layout)) for layout in _ROWS[len(aspects)]}
    fitting = [layout for layout, shape in shapes.items() if _ASPECTS[0] <= shape <= _ASPECTS[1]]
    fitting = fitting or [min(shapes, key=lambda layout: abs(np.log(shapes[layout])))]
    layout = fitting[rng.integers(len(fitting))]
    width = _LONGEST * min(1.0, shapes[layout])
    places, first, down = [], 0, 0.0
    for size, high in zip(layout, row_heights(layout), strict=True):
        row = aspects[first : first + size]
        edges = np.rint(np.cumsum([0, *row]) / sum(row) * width).astype(int).tolist()
        top, bottom = round(down), max(round(down) + 1, round(down + high * width))
        places += [(left, top, max(left + 1, right), bottom) for left, right in pairwise(edges)]
        first, down = first + size, down + high * width
    return places


def _ambiguous(name: str, photos: Sequence[Photo]) -> bool:
    """Whether one of the photos shows something that `name` could mean and does not mask it under that name."""
    having = [photo for photo in photos if any(thing.class_name == name for thing in photo.objects)]
    whole = [photo for photo in having if any(thing.phrase == thing.class_name == name for thing in photo.objects)]
    if len(having) > max(1, len(whole)):
        return True
    sources = {photo.source for photo in having}
    return any(_shows(name, photo, sources) for photo in photos if not any(photo is one for one in having))


def _shows(name: str, photo: Photo, sources: set[str]) -> bool:
    """Whether a photo without the class shows it all the same, by the words of its classes or by what they imply.

    Photos of the `sources` that mask the class elsewhere are trusted to mask all of it.
    """
    classes = {thing.class_name for thing in photo.objects}
    if any(_words(name) < _words(other) for other in classes):
        return True
    hints = [*_SHOWS, (_OUTDOORS, _BACKGROUND)]
    return photo.source not in sources and any(name in shown and classes & seen for seen, shown in hints)


def _merged(group: Sequence[tuple[int, PhotoObject, np.ndarray]]) -> list[PhotoObject]:
    """The objects of one class, from one photo as they are, from several photos as one union."""
    if len({index for index, _, _ in group}) == 1:
        return [thing.with_mask(mask) for _, thing, mask in group]
    plain = [(thing, mask) for _, thing, mask in group if thing.phrase == thing.class_name]
    first = plain[0][0]
    counts = [thing.count for thing, _ in plain]
    merged = replace(
        first.with_mask(np.logical_or.reduce([mask for _, mask in plain])),
        union=True,
        part=all(thing.part for thing, _ in plain),
        count=None if None in counts else sum(count for count in counts if count is not None),
        color=first.color if all(thing.color == first.color for thing, _ in plain) else None,
    )
    return [merged]


def _joined(licenses: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(license for license in licenses if license))


@dataclass(frozen=True)
class Cutout:
    """One object with a transparent ground, and its name."""

    path: Path
    name: str
    description: str = ""
    category: str = ""
    license: str = ""
    array: np.ndarray | None = field(default=None, compare=False, repr=False)
    """(H, W, 4) uint8 RGBA held in memory instead of in the file at `path`."""

    def pixels(self) -> np.ndarray:
        """(H, W, 4) uint8 RGBA, cut to what is opaque. Raises ImageError when the file is broken or all clear."""
        if self.array is None:
            try:
                with Image.open(self.path) as image:
                    rgba = np.asarray(image.convert("RGBA"))
            except (OSError, SyntaxError, ValueError) as error:
                raise ImageError(f"{self.path} is not a readable image ({error}); save it as an RGBA PNG") from error
        else:
            rgba = self.array
        if (around := box(rgba[..., 3] > 127)) is None:
            raise ImageError(f"{self.path} has no opaque pixel; cut the object out again")
        left, top, right, bottom = around
        return rgba[top:bottom, left:right]


def load_cutouts(root: str | Path) -> list[Cutout]:
    """The cut-outs that `{root}/index.jsonl` lists, one JSON object with `image` and `name` a line.

    Raises DataError when the file is missing or a line lacks a field; the message names the line.
    """
    index = Path(root) / "index.jsonl"
    if not index.is_file():
        raise DataError(f"no index.jsonl in {root}; expected one line per cut-out with its image and name")
    found = []
    for number, line in enumerate(index.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            about, category, license = (str(row.get(key, "")) for key in ("description", "category", "license"))
            found.append(Cutout(index.parent / row["image"], str(row["name"]), about, category, license))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{index}:{number} needs JSON with `image` and `name` ({error!r}); mend the line"
            ) from error
    return found


def clean_name(name: str) -> str:
    """The name as said: lower case, without numbers, quotes and words about the picture; "" where it names nothing."""
    words = re.sub(r"[\"'“”‘’`]", "", name.lower().replace("it's", "")).split()
    kept = [word for word in words if not re.search(r"\d", word) and word not in _PICTURE]
    clean = " ".join(kept[1:] if kept[:1] in (["a"], ["an"], ["the"]) else kept).removeprefix("eat your ")
    if clean in _NAMELESS:
        return ""
    return " ".join([clean, *(noun for noun, names in _NOUNS.items() if clean in names)])


def paste(photo: Photo, cutouts: Sequence[Cutout], rng: np.random.Generator) -> Photo:
    """The photo with 1 to 4 cut-outs laid on it at random size, side and place, each a new object under its name.

    A cut-out whose name could also mean something in the photo is passed over. What they cover is taken from
    the masks below; what becomes of those objects is said at `augment.remain`.
    """
    if not cutouts:
        raise DataError("paste needs at least one cut-out, got none; load them with load_cutouts")
    pixels = photo.pixels().copy()
    objects = list(photo.objects)
    masks = [decode(thing.mask) for thing in objects]
    used = [photo.license]
    wanted = len(objects) + int(rng.integers(1, 5))
    for _ in range(_TRIES):
        cutout = cutouts[int(rng.integers(len(cutouts)))]
        name = clean_name(cutout.name)
        if not name or _collides(name, cutout.category, objects):
            continue
        covered = _lay(pixels, cutout, rng)
        if np.count_nonzero(covered) < _MIN_PIXELS:
            continue
        masks = [mask & ~covered for mask in masks] + [covered]
        objects.append(PhotoObject(name, name, {"size": [], "counts": ""}, 0.0).with_mask(covered))
        used.append(cutout.license)
        if len(objects) == wanted:
            break
    return replace(photo, objects=remain(objects, masks), array=pixels, license=_joined(used))


def _collides(name: str, category: str, objects: Sequence[PhotoObject]) -> bool:
    """Whether words of the name, or what it shows, are already in use for one of the objects."""
    taken = {thing.class_name for thing in objects}
    if any(_words(name) & (_words(thing.phrase) | _words(thing.class_name)) for thing in objects):
        return True
    called = {category, name, *name.split()}
    return any((called & seen and taken & shown) or (taken & seen and called & shown) for seen, shown in _SHOWS)


def _words(name: str) -> frozenset[str]:
    """The words that carry meaning, without a plural s."""
    return frozenset(word.removesuffix("s") for word in re.findall(r"\w+", name.lower())) - _SMALL


def _lay(pixels: np.ndarray, cutout: Cutout, rng: np.random.Generator) -> np.ndarray:
    """Blend the cut-out into (H, W, 3) pixels, in place; gives the (H, W) bool mask of what it covers."""
    rgba = cutout.pixels()
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    (height, width), (high, wide) = pixels.shape[:2], rgba.shape[:2]
    share = np.exp(rng.uniform(*np.log(_SHARES)))
    factor = min(
        np.sqrt(share * height * width / (high * wide)), _LARGEST_SCALE, 0.9 * height / high, 0.9 * width / wide
    )
    size = max(1, round(wide * factor)), max(1, round(high * factor))
    scaled = Image.fromarray(np.ascontiguousarray(rgba)).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    layer = np.asarray(scaled).astype(np.float32)
    left, top = int(rng.integers(width - size[0] + 1)), int(rng.integers(height - size[1] + 1))
    place = (slice(top, top + size[1]), slice(left, left + size[0]))
    alpha = layer[..., 3:] / 255
    pixels[place] = (layer[..., :3] * alpha + pixels[place] * (1 - alpha)).round().astype(np.uint8)
    covered = np.zeros((height, width), bool)
    covered[place] = alpha[..., 0] > 0.5
    return covered
