"""Scenes: what is composed is masked, and no words remain that could mean something that is not."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from miras.data.masks import decode, encode
from miras.data.photos import Photo, PhotoObject, load_photos
from miras.data.scenes import Cutout, clean_name, load_cutouts, mosaic, paste
from miras.errors import DataError, ImageError

Thing = tuple[str, str, int]


def photo_of(things: Sequence[Thing], source: str = "a", size: tuple[int, int] = (40, 40), shade: int = 100) -> Photo:
    """A plain photo whose things, (phrase, class, count), stand as 8 x 8 squares in a row."""
    objects = []
    for index, (phrase, name, count) in enumerate(things):
        mask = np.zeros(size, dtype=bool)
        mask[4:12, 2 + 10 * index : 10 + 10 * index] = True
        thing = PhotoObject(phrase, name, encode(mask), 0.0, union=count > 1, count=count, color="red")
        objects.append(thing.with_mask(mask))
    pixels = np.full((*size, 3), shade, dtype=np.uint8)
    return Photo(Path(f"{source}{shade}.png"), tuple(objects), source, f"licence of {source}", pixels)


def named(photo: Photo) -> dict[str, PhotoObject]:
    assert len({thing.phrase for thing in photo.objects}) == len(photo.objects)
    return {thing.phrase: thing for thing in photo.objects}


def disc(name: str = "red ball", category: str = "sports", size: int = 20) -> Cutout:
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    rgba = np.zeros((size, size, 4), dtype=np.uint8)
    rgba[..., 0], rgba[..., 3] = 255, np.where(rows**2 + columns**2 < (size / 2) ** 2, 255, 0)
    return Cutout(Path(f"{name}.png"), name, category=category, license="CC0", array=rgba)


@pytest.mark.parametrize(
    "sizes", [[(40, 40)] * 2, [(40, 40)] * 3, [(40, 40)] * 4, [(30, 60), (80, 20)], [(1, 200)] * 4]
)
def test_a_mosaic_shows_every_photo_without_gaps(sizes: list[tuple[int, int]]) -> None:
    photos = [photo_of([], size=size, shade=50 * index + 50) for index, size in enumerate(sizes)]
    for seed in range(6):
        scene = mosaic(photos, np.random.default_rng(seed))
        assert 446 <= max(scene.size) <= 450
        assert set(np.unique(scene.pixels()).tolist()) == {50 * index + 50 for index in range(len(sizes))}


def test_the_same_class_in_two_photos_is_one_union() -> None:
    photos = [photo_of([("cup", "cup", 2), ("leftmost cup", "cup", 1), ("tree", "tree", 1)]),
              photo_of([("cup", "cup", 1)], shade=200)]  # fmt: skip
    found = named(mosaic(photos, np.random.default_rng(0)))
    assert set(found) == {"cup", "tree"}
    cup = found["cup"]
    assert (cup.union, cup.count, cup.color) == (True, 3, "red")
    assert np.count_nonzero(decode(cup.mask)) == pytest.approx(
        2 * np.count_nonzero(decode(found["tree"].mask)), rel=0.05
    )
    other = replace(photos[1], objects=(replace(photos[1].objects[0], color="blue", count=None),))
    merged = named(mosaic([photos[0], other], np.random.default_rng(0)))["cup"]
    assert (merged.color, merged.count) == (None, None)


def test_a_mask_lies_on_its_own_photo() -> None:
    photos = [photo_of([("cup", "cup", 1)], shade=50), photo_of([("tree", "tree", 1)], shade=200)]
    for seed in range(6):
        scene = mosaic(photos, np.random.default_rng(seed))
        found = named(scene)
        assert (scene.pixels()[decode(found["cup"].mask)] == 50).all()
        assert (scene.pixels()[decode(found["tree"].mask)] == 200).all()


def test_words_that_could_mean_something_unmasked_are_dropped() -> None:
    cases: list[tuple[list[Thing], list[Thing], set[str]]] = [
        ([("leftmost cup", "cup", 1)], [("tree", "tree", 1)], {"leftmost cup", "tree"}),
        ([("leftmost cup", "cup", 1)], [("cup", "cup", 1)], set()),  # the first photo has other cups
        ([("cat", "cat", 1)], [("Bengal cat", "Bengal cat", 1)], {"Bengal cat"}),  # also a cat
        ([("cat", "cat", 1)], [("Bengal cat", "Bengal cat", 1), ("cat", "cat", 1)], {"cat", "Bengal cat"}),
        ([("person", "person", 1)], [("nose", "nose", 1)], set()),  # a face is a person, a person has a nose
        ([("nose", "nose", 1)], [("cat", "cat", 1)], {"cat"}),  # a cat has a nose
        ([("car", "car", 1)], [("hood", "hood", 1)], set()),  # each shows the other
    ]
    for first, second, expected in cases:
        scene = mosaic([photo_of(first, "a"), photo_of(second, "b")], np.random.default_rng(1))
        assert set(named(scene)) == expected, (first, second)


def test_photos_of_one_source_are_trusted_to_mask_all_of_a_class() -> None:
    photos = [photo_of([("hat", "hat", 1)]), photo_of([("person", "person", 1)])]
    assert set(named(mosaic(photos, np.random.default_rng(0)))) == {"hat", "person"}
    # elsewhere a hat means a person without a mask, and a person may wear a hat without one
    photos[1] = replace(photos[1], source="b")
    assert not named(mosaic(photos, np.random.default_rng(0)))


def test_a_mosaic_says_where_it_comes_from_and_is_seeded() -> None:
    photos = [photo_of([("cup", "cup", 1)], "a"), photo_of([("tree", "tree", 1)], "b"), photo_of([], "a")]
    scene = mosaic(photos, np.random.default_rng(3))
    assert (scene.source, scene.license, scene.name) == ("mosaic", "licence of a; licence of b", "a100+b100+a100")
    again = mosaic(photos, np.random.default_rng(3))
    assert scene == again
    assert np.array_equal(scene.pixels(), again.pixels())
    for number in (1, 5):
        with pytest.raises(DataError, match=f"2 to 4 photos, got {number}"):
            mosaic([photos[0]] * number, np.random.default_rng(0))


def test_paste_masks_what_it_lays_down() -> None:
    base = photo_of([], size=(200, 200))
    for seed in range(10):
        scene = paste(base, [disc()], np.random.default_rng(seed))
        (ball,) = scene.objects
        assert (ball.phrase, ball.class_name, ball.count, ball.union) == ("red ball", "red ball", 1, False)
        red = scene.pixels()[..., 0] > 180
        mask = decode(ball.mask)
        assert (red & mask).sum() / (red | mask).sum() > 0.9
        assert 16 <= mask.sum() < 0.13 * 200 * 200
    assert (base.pixels() == 100).all()
    assert scene.license == "licence of a; CC0"


def test_pastes_range_from_fine_to_coarse() -> None:
    base = photo_of([], size=(448, 448))
    sizes = {paste(base, [disc(size=200)], np.random.default_rng(seed)).objects[0].size for seed in range(40)}
    assert sizes == {"fine", "medium", "coarse"}


def test_paste_takes_one_to_four_different_things() -> None:
    cutouts = [disc(f"{word} ball of {word}", "sports") for word in ("red",)] + [
        disc(word, "sports") for word in ("drum", "lamp", "cello", "kite", "saw")
    ]
    base = photo_of([], size=(200, 200))
    numbers = {len(named(paste(base, cutouts, np.random.default_rng(seed)))) for seed in range(60)}
    assert numbers >= {1, 2, 3, 4}
    assert max(numbers) == 4


def test_paste_takes_pixels_from_the_masks_below() -> None:
    mask = np.ones((60, 60), dtype=bool)
    thing = PhotoObject("wall", "wall", encode(mask), 0.0).with_mask(mask)
    base = Photo(Path("wall.png"), (thing,), array=np.zeros((60, 60, 3), dtype=np.uint8))
    for seed in range(5):
        scene = named(paste(base, [disc()], np.random.default_rng(seed)))
        assert not (decode(scene["wall"].mask) & decode(scene["red ball"].mask)).any()
        assert (decode(scene["wall"].mask) | decode(scene["red ball"].mask)).all()


def test_what_is_mostly_covered_is_dropped() -> None:
    outcomes = set()
    for seed in range(300):
        scene = paste(photo_of([("cup", "cup", 1)], size=(40, 40)), [disc(size=40)], np.random.default_rng(seed))
        left = [np.count_nonzero(decode(thing.mask)) / 64 for thing in scene.objects if thing.phrase == "cup"]
        assert not left or left[0] >= 0.4
        outcomes.add(len(left))
    assert outcomes == {0, 1}


@pytest.mark.parametrize(
    ("name", "category", "inside"),
    [
        ("red cup", "household", "cup"),
        ("cups", "household", "cup"),
        ("orange bell pepper", "food", "orange"),
        ("dingo", "animals", "nose"),
        ("fireman", "vehicles", "person"),
        ("tractor wheel", "vehicles", "car"),
        ("photo 2", "", "cup"),
    ],
)
def test_names_that_collide_are_passed_over(name: str, category: str, inside: str) -> None:
    base = photo_of([(inside, inside, 1)], size=(100, 100))
    scene = paste(base, [disc(name, category)], np.random.default_rng(0))
    assert [thing.phrase for thing in scene.objects] == [inside]
    assert np.array_equal(scene.pixels(), base.pixels())
    with pytest.raises(DataError, match="at least one cut-out"):
        paste(base, [], np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Candy Cane photo 2", "candy cane"), ("“fuji” apple", "fuji apple"), ("ginger 'root", "ginger root"),
        ("ww2 german gun", "german gun"), ("it's a cep", "cep"), ("very small pitcher", "small pitcher"),
        ("lion profile", "lion"), ("Granny Smith", "granny smith apple"), ("eat your broccoli", "broccoli"),
        ("a frog", "frog"), ("boom", ""), ("2", ""), ("jack-o’-lantern", "jack-o-lantern"),
    ],
)  # fmt: skip
def test_names_are_cleaned(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_cutouts_are_listed_and_cut_to_what_is_opaque(tmp_path: Path) -> None:
    rgba = np.zeros((10, 12, 4), dtype=np.uint8)
    rgba[2:5, 3:9] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((4, 4, 4), dtype=np.uint8)).save(tmp_path / "clear.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    rows = [{"image": "a.png", "name": "A Key", "category": "household", "license": "CC0"},
            *({"image": f"{name}.png", "name": name} for name in ("clear", "broken", "none"))]  # fmt: skip
    (tmp_path / "index.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    key, *bad = load_cutouts(tmp_path)
    assert (key.name, key.category, key.license, key.description) == ("A Key", "household", "CC0", "")
    assert key.pixels().shape == (3, 6, 4)
    for cutout, message in zip(bad, ("no opaque pixel", "not a readable image", "No such file"), strict=True):
        with pytest.raises(ImageError, match=message):
            cutout.pixels()


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"image": "a.png"}', '{"name": "a"}', '{"image": 3, "name": "a"}'])
def test_a_bad_line_of_the_index_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no index\.jsonl in"):
        load_cutouts(tmp_path)
    (tmp_path / "index.jsonl").write_text('{"image": "a.png", "name": "a"}\n' + line, encoding="utf-8")
    with pytest.raises(DataError, match=r"index\.jsonl:2 needs JSON with `image` and `name`"):
        load_cutouts(tmp_path)


def test_real_scenes_are_true_to_their_pixels(shared_photos: Path, shared_cutouts: Path) -> None:
    rng = np.random.default_rng(0)
    photos, cutouts = load_photos(shared_photos, "val"), load_cutouts(shared_cutouts)
    assert len(cutouts) == 384
    for _ in range(8):
        chosen = [photos[index] for index in rng.permutation(len(photos))[: int(rng.integers(2, 5))]]
        scene = paste(mosaic(chosen, rng), cutouts, rng)
        for thing in named(scene).values():
            mask = decode(thing.mask)
            measured = thing.with_mask(mask)
            assert mask.shape == scene.size == scene.pixels().shape[:2]
            assert (measured.box, measured.area, measured.position) == (thing.box, thing.area, thing.position)
