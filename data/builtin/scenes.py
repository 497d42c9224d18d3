"""Synthetic images: small scenes with five true captions each.

A scene has one or two objects: shapes with a color, a size and a place. Everything follows from
(split, seed, index), which make the id of a scene. The combinations in `HELD_OUT` occur in the
split `unseen` only, and each of its scenes has one.

>>> scene_id, scene = next(synthetic_scenes("test"))
>>> scene == scene_by_id(scene_id)
True
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.annotations.entries import Entry
from data.builtin.splits import split_of_scene
from data.media.images import encode_png

# Increased when the same seed gives other images or captions, so that they are generated again.
VERSION = 1
SPLITS: Mapping[str, int] = {"train": 8000, "validation": 300, "test": 500, "unseen": 300}

COLORS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 36, 42),
    "orange": (247, 134, 24),
    "yellow": (250, 212, 38),
    "green": (42, 158, 66),
    "cyan": (52, 204, 220),
    "blue": (36, 80, 206),
    "purple": (140, 62, 190),
    "pink": (246, 132, 190),
}
# Lowest and highest radius of the circle around an object, as a fraction of the image's side.
SIZES: Mapping[str, tuple[float, float]] = {"small": (0.12, 0.13), "large": (0.17, 0.185)}
COLUMNS = ("left", "middle", "right")
ROWS = ("top", "middle", "bottom")

# One combination per shape: the training split has each shape in the seven other colors.
HELD_OUT = frozenset(
    {
        ("circle", "cyan"),
        ("square", "red"),
        ("triangle", "purple"),
        ("star", "green"),
        ("cross", "yellow"),
        ("heart", "blue"),
    }
)

CAPTIONS = 5  # of each scene
_OBJECTS_PER_SCENE = (1, 1, 2, 2)  # equally likely
_CENTERS = (0.22, 0.5, 0.78)  # of the columns and of the rows
_SPREAD = 0.03  # largest offset of an object from there; columns stay 0.22 apart
_GAP = 0.03  # between the circles around two objects
_TILT = 0.15  # radians, either way
_SAMPLES = 4  # per pixel and axis, for smooth edges

Array = npt.NDArray[np.float64]


def _star(x: Array, y: Array) -> npt.NDArray[np.bool_]:
    """Five points: fold the plane onto one half point, where the edge is a straight line."""
    half = math.pi / 5
    angle = np.abs((np.arctan2(x, -y) + half) % (2 * half) - half)
    along, across = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle)
    inner = 0.45  # radius of the dents
    slope = inner * math.sin(half) / (1 - inner * math.cos(half))
    return np.asarray(across <= slope * (1 - along))


def _heart(x: Array, y: Array) -> npt.NDArray[np.bool_]:
    """The sextic (x² + y² - 1)³ = x² y³, scaled into the unit circle."""
    x, y = 1.38 * x, 0.12 - 1.32 * y
    square = x * x
    outside = square + y * y - 1
    return np.asarray(outside * outside * outside <= square * y * y * y)  # powers are slow


# Each shape is the set of points where its formula holds, with x to the right and y down. All
# shapes lie in the unit circle.
SHAPES: Mapping[str, Callable[[Array, Array], npt.NDArray[np.bool_]]] = {
    "circle": lambda x, y: np.hypot(x, y) <= 0.92,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) <= 0.7,
    "triangle": lambda x, y: (y <= 0.55) & (1.85 * abs(x) <= y + 0.95),
    "star": _star,
    "cross": lambda x, y: (abs(x) <= 0.92) & (abs(y) <= 0.3) | (abs(y) <= 0.92) & (abs(x) <= 0.3),
    "heart": _heart,
}


Pose = tuple[float, float, float, float]  # x, y, radius, tilt
Tones = tuple[tuple[int, ...], tuple[int, ...]]  # RGB at two opposite corners


@dataclass(frozen=True)
class SceneObject:
    """A shape in an image; lengths are fractions of the image's side, y grows downwards."""

    shape: str
    color: str
    size: str
    x: float
    y: float
    radius: float
    tilt: float  # radians

    @property
    def column(self) -> str:
        """Return "left", "middle" or "right"."""
        return COLUMNS[int(3 * self.x)]

    @property
    def row(self) -> str:
        """Return "top", "middle" or "bottom"."""
        return ROWS[int(3 * self.y)]


@dataclass(frozen=True)
class Scene:
    """Objects that do not overlap, on a background that blends two tones."""

    objects: tuple[SceneObject, ...]
    background: Tones
    seed: int  # of the noise in the image and of the wording of the captions

    def content(self) -> str:
        """Return what decides the split: the objects and their places, without their jitter."""
        return ";".join(
            sorted(f"{o.size} {o.color} {o.shape} {o.row} {o.column}" for o in self.objects)
        )


def synthetic_scenes(split: str, seed: int = 0) -> Iterator[tuple[str, Scene]]:
    """Yield the id and the scene of each image of a split."""
    for index in range(SPLITS[split]):
        scene_id = f"{split}-{seed}-{index:05d}"
        yield scene_id, scene_by_id(scene_id)


def scene_by_id(scene_id: str) -> Scene:
    """Return the scene with an id such as "test-0-00003": split, seed, index."""
    split = scene_id.partition("-")[0]
    assert split in SPLITS
    # Seeding with a string goes through SHA-512: the same numbers in every process.
    rng = random.Random(scene_id)
    while True:
        scene = _compose(rng, unseen=split == "unseen")
        if split in ("unseen", split_of_scene(scene.content())):
            return scene


def entries(seed: int) -> Iterator[Entry]:
    """Yield the entries of all splits."""
    for split in SPLITS:
        for name, scene in synthetic_scenes(split, seed):
            yield Entry(name, name, "", tuple(generate_captions(scene)), split)


def render_png(scene_id: str) -> bytes:
    """Return the image of a scene, encoded."""
    return encode_png(render(scene_by_id(scene_id)))


def _compose(rng: random.Random, unseen: bool) -> Scene:
    """Place objects apart from each other; one is a held-out combination if `unseen`."""
    combinations = sorted(itertools.product(SHAPES, COLORS))
    allowed = [each for each in combinations if each not in HELD_OUT]
    chosen = rng.sample(allowed, rng.choice(_OBJECTS_PER_SCENE))  # all different
    if unseen:
        chosen[rng.randrange(len(chosen))] = rng.choice(sorted(HELD_OUT))
    attributes = [(shape, color, rng.choice(tuple(SIZES))) for shape, color in chosen]
    while True:
        objects = tuple(_place(rng, *each) for each in attributes)
        if all(
            math.hypot(a.x - b.x, a.y - b.y) >= a.radius + b.radius + _GAP
            for a, b in itertools.combinations(objects, 2)
        ):
            return Scene(objects, background(rng), rng.getrandbits(32))


def _place(rng: random.Random, shape: str, color: str, size: str) -> SceneObject:
    """Place an object near the center of one of nine zones, so that its zone is unambiguous."""
    x, y = (rng.choice(_CENTERS) + rng.uniform(-_SPREAD, _SPREAD) for _ in range(2))
    radius, tilt = rng.uniform(*SIZES[size]), rng.uniform(-_TILT, _TILT)
    pose = (round(value, 4) for value in (x, y, radius, tilt))
    return SceneObject(shape, color, size, *pose)


def background(rng: random.Random) -> Tones:
    """Return two pale or two dark tones that contrast with every color."""
    low, high = rng.choice([(208, 246), (14, 48)])
    first, second = (tuple(rng.randint(low, high) for _ in range(3)) for _ in range(2))
    return first, second


def render(scene: Scene, pixels: int = 64) -> npt.NDArray[np.uint8]:
    """Return the image, uint8 `[pixels, pixels, 3]`, RGB, with smooth edges and some noise."""
    rng = np.random.Generator(np.random.PCG64(scene.seed))
    ramp = (np.arange(pixels) + 0.5) / pixels
    blend = ((ramp[:, None] + ramp[None, :]) / 2)[..., None]
    first, second = np.asarray(scene.background, float)
    image = first * (1 - blend) + second * blend
    for item in scene.objects:
        rows, columns, cover = _coverage(item, pixels)
        color = np.asarray(COLORS[item.color], float)
        image[rows, columns] += cover[..., None] * (color - image[rows, columns])
    image += 12 * (rng.random((pixels, pixels, 1)) - 0.5)
    return np.asarray(np.rint(image.clip(0, 255)), np.uint8)


def _coverage(item: SceneObject, pixels: int) -> tuple[slice, slice, Array]:
    """Return the rows and columns around an object and the share of each pixel that it covers."""
    spans, samples = [], []
    for center in (item.y, item.x):
        start = math.floor((center - item.radius) * pixels)
        stop = math.ceil((center + item.radius) * pixels)
        steps = start + (np.arange((stop - start) * _SAMPLES) + 0.5) / _SAMPLES
        spans.append(slice(start, stop))
        samples.append((steps / pixels - center) / item.radius)
    y, x = np.meshgrid(*samples, indexing="ij")
    cos, sin = math.cos(item.tilt), math.sin(item.tilt)
    inside = SHAPES[item.shape](cos * x + sin * y, cos * y - sin * x)
    height, width = (span.stop - span.start for span in spans)
    cover = inside.reshape(height, _SAMPLES, width, _SAMPLES).mean((1, 3))
    return spans[0], spans[1], cover


# {a} "a red star", {a:full} with its size, {a:the} "the red star", {a:size}, {a:place};
# {ab} the relation of a to b: "left of", "above", …
_WORDINGS: Mapping[int, tuple[str, ...]] = {
    1: (
        "{a:full} {a:place}",
        "there is {a:full} {a:place}",
        "{a:place} is {a:full}",
        "the picture shows {a:full}",
        "one thing: {a} {a:place}",
        "{a:the} {a:place} is {a:size}",
        "{a}, it is {a:size} and {a:place}",
    ),
    2: (
        "{a:full} {ab} {b:full}",
        "there is {a} {ab} {b}",
        "{a} {a:place} and {b} {b:place}",
        "two things: {a:full} and {b:full}",
        "{a:place} is {a} and {b:place} is {b}",
        "{a:the} is {ab} {b:the}",
        "the picture shows {a} with {b} {ba} it",
        "{ab} {b} is {a:full}",
    ),
}
_SIZE_WORDS = {"small": ("small", "little"), "large": ("large", "big")}


def generate_captions(scene: Scene) -> list[str]:
    """Return five captions, differently worded and all true; always the same for a scene."""
    rng = random.Random(scene.seed)
    sentences = []
    for wording in rng.sample(_WORDINGS[len(scene.objects)], CAPTIONS):
        named = dict(zip("ab", rng.sample(scene.objects, len(scene.objects)), strict=False))
        fields: dict[str, object] = {name: _Noun(item, rng) for name, item in named.items()}
        for one, two in itertools.permutations(named, 2):
            fields[one + two] = _relation(named[one], named[two], rng)
        sentences.append(wording.format(**fields))
    return sentences


@dataclass(frozen=True)
class _Noun:
    """An object in the format fields of `_WORDINGS`."""

    item: SceneObject
    rng: random.Random

    def __format__(self, form: str) -> str:
        size = self.rng.choice(_SIZE_WORDS[self.item.size])
        if form == "size":
            return size
        if form == "place":
            place = place_words(self.item)
            middle = place == "in the middle"
            return self.rng.choice(("in the centre", "in the middle")) if middle else place
        name = f"{self.item.color} {self.item.shape}"
        return {"full": f"a {size} {name}", "the": f"the {name}"}.get(form, noun(self.item))


def noun(item: SceneObject) -> str:
    """Return the object as a noun phrase: "a red star"."""
    article = "an" if item.color[0] in "aeiou" else "a"
    return f"{article} {item.color} {item.shape}"


def place_words(item: SceneObject) -> str:
    """Return the place of an object: "at the top left"."""
    row, column = item.row, item.column
    if row == column == "middle":
        return "in the middle"
    if row == "middle":
        return f"on the {column}"
    return f"at the {row}" if column == "middle" else f"at the {row} {column}"


def _relation(one: SceneObject, two: SceneObject, rng: random.Random) -> str:
    """Return a relation of `one` to `two`; columns and rows lie far enough apart to be clear."""
    words: list[str] = []
    if one.column != two.column:
        side = "left" if one.x < two.x else "right"
        words += [f"{side} of", f"to the {side} of"]
    if one.row != two.row:
        words += ["above", "over"] if one.y < two.y else ["below", "under"]
    return rng.choice(words)
