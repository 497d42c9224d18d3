"""The built-in data: small drawn scenes with five true captions each.

A scene holds one or two things: shapes with a color, a size and a place. Everything follows
from (seed, split, index), so the id of a scene is enough to draw it and to judge a sentence
about it (`data.builtin.scene_checker.is_true`). Two splits never share a scene, whatever their
seeds: the
hash of its content says which split may hold it. The combinations in `HELD_OUT` occur in the
split `unseen` only, and each of its scenes has one.

>>> scene_id, scene = next(synthetic_scenes("test"))
>>> scene == scene_by_id(scene_id)
True
>>> render(scene).shape
(64, 64, 3)
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.common.errors import UserError, unknown

# Raised when the same seed gives other images or captions, so that they are generated anew.
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
# The radius of the circle a thing fits in, as a fraction of the picture: from, to.
SIZES: Mapping[str, tuple[float, float]] = {"small": (0.12, 0.13), "large": (0.17, 0.185)}
COLUMNS = ("left", "middle", "right")
ROWS = ("top", "middle", "bottom")

# One combination per shape: each shape is still seen in the seven other colors.
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

_THINGS_PER_SCENE = (1, 1, 2, 2)  # drawn evenly
_CENTRES = (0.22, 0.5, 0.78)  # of the columns and of the rows
_SPREAD = 0.03  # how far a thing strays from there; columns stay 0.22 apart
_GAP = 0.03  # between the circles around two things
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


# Each shape is the set of points where its formula holds: x to the right, y down, all of them in
# the unit circle.
SHAPES: Mapping[str, Callable[[Array, Array], npt.NDArray[np.bool_]]] = {
    "circle": lambda x, y: np.hypot(x, y) <= 0.92,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) <= 0.7,
    "triangle": lambda x, y: (y <= 0.55) & (1.85 * abs(x) <= y + 0.95),
    "star": _star,
    "cross": lambda x, y: (abs(x) <= 0.92) & (abs(y) <= 0.3) | (abs(y) <= 0.92) & (abs(x) <= 0.3),
    "heart": _heart,
}


@dataclass(frozen=True)
class SceneObject:
    """A shape in a picture; lengths are fractions of the picture's side, y grows downwards."""

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
    """Things on a background that runs from one tone to another; never two overlap."""

    things: tuple[SceneObject, ...]
    background: tuple[tuple[int, int, int], tuple[int, int, int]]  # RGB at two opposite corners
    seed: int  # of the grain in the picture and of the captions' wording

    def content(self) -> str:
        """Return what decides the split: the things and their places, without their jitter."""
        return ";".join(
            sorted(f"{t.size} {t.color} {t.shape} {t.row} {t.column}" for t in self.things)
        )


def synthetic_scenes(
    split: str, count: int | None = None, seed: int = 0
) -> Iterator[tuple[str, Scene]]:
    """Yield the id and the scene of the first `count` (by default `SPLITS[split]`) of a split.

    Raises:
        UserError: if there is no such split.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    for index in range(SPLITS[split] if count is None else count):
        scene_id = f"{split}-{seed}-{index:05d}"
        yield scene_id, scene_by_id(scene_id)


def scene_by_id(scene_id: str) -> Scene:
    """Return the scene of an id such as "test-0-00003": split, seed, index.

    Raises:
        UserError: if the id does not read so.
    """
    split = split_in_id(scene_id, SPLITS)
    # Seeding by a string goes through SHA-512: the same numbers in every process.
    rng = random.Random(scene_id)
    while True:
        scene = _compose(rng, unseen=split == "unseen")
        if split in ("unseen", split_of(scene.content())):
            return scene


def split_in_id(drawn_id: str, splits: Mapping[str, int]) -> str:
    """Return the split that the id of a drawn scene or clip names.

    Raises:
        UserError: if the id does not read so.
    """
    match = re.fullmatch(r"(\w+)-(\d+)-(\d{5,})", drawn_id)
    if match is None or match[1] not in splits:
        raise UserError(
            f"the id of what is drawn is SPLIT-SEED-INDEX such as 'test-0-00003' "
            f"with a split of {', '.join(splits)}; got {drawn_id!r}"
        )
    return match[1]


def split_of(content: str) -> str:
    """Return the one split that may hold what is drawn, by its content."""
    bucket = hashlib.sha256(content.encode()).digest()[0]
    return "validation" if bucket < 26 else "test" if bucket < 64 else "train"


def _compose(rng: random.Random, unseen: bool) -> Scene:
    """Draw things that lie apart; one is a held-out combination if `unseen`."""
    kinds = sorted(itertools.product(SHAPES, COLORS))
    allowed = [kind for kind in kinds if kind not in HELD_OUT]
    chosen = rng.sample(allowed, rng.choice(_THINGS_PER_SCENE))  # no two of one shape and color
    if unseen:
        chosen[rng.randrange(len(chosen))] = rng.choice(sorted(HELD_OUT))
    looks = [(shape, color, rng.choice(tuple(SIZES))) for shape, color in chosen]
    while True:
        things = tuple(_place(rng, *look) for look in looks)
        if all(
            math.hypot(a.x - b.x, a.y - b.y) >= a.radius + b.radius + _GAP
            for a, b in itertools.combinations(things, 2)
        ):
            return Scene(things, background(rng), rng.getrandbits(32))


def _place(rng: random.Random, shape: str, color: str, size: str) -> SceneObject:
    """Put a thing near the middle of one of nine zones, so that its place is never in doubt."""
    x, y = (rng.choice(_CENTRES) + rng.uniform(-_SPREAD, _SPREAD) for _ in range(2))
    radius, tilt = rng.uniform(*SIZES[size]), rng.uniform(-_TILT, _TILT)
    return SceneObject(
        shape, color, size, round(x, 4), round(y, 4), round(radius, 4), round(tilt, 4)
    )


def background(rng: random.Random) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return two pale or two dark tones: every color stands out from both."""
    low, high = rng.choice([(208, 246), (14, 48)])
    first, second = (tuple(rng.randint(low, high) for _ in range(3)) for _ in range(2))
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])


def render(scene: Scene, pixels: int = 64) -> npt.NDArray[np.uint8]:
    """Return the picture, uint8 `[pixels, pixels, 3]`, RGB, with smooth edges and some grain."""
    rng = np.random.Generator(np.random.PCG64(scene.seed))
    ramp = (np.arange(pixels) + 0.5) / pixels
    blend = ((ramp[:, None] + ramp[None, :]) / 2)[..., None]
    first, second = np.asarray(scene.background, float)
    picture = first * (1 - blend) + second * blend
    for thing in scene.things:
        rows, columns, cover = _coverage(thing, pixels)
        color = np.asarray(COLORS[thing.color], float)
        picture[rows, columns] += cover[..., None] * (color - picture[rows, columns])
    picture += 12 * (rng.random((pixels, pixels, 1)) - 0.5)
    return np.asarray(np.rint(picture.clip(0, 255)), np.uint8)


def _coverage(thing: SceneObject, pixels: int) -> tuple[slice, slice, Array]:
    """Return the rows and columns around a thing and the share of each pixel that it covers."""
    spans, samples = [], []
    for center in (thing.y, thing.x):
        start = math.floor((center - thing.radius) * pixels)
        stop = math.ceil((center + thing.radius) * pixels)
        steps = start + (np.arange((stop - start) * _SAMPLES) + 0.5) / _SAMPLES
        spans.append(slice(start, stop))
        samples.append((steps / pixels - center) / thing.radius)
    y, x = np.meshgrid(*samples, indexing="ij")
    cos, sin = math.cos(thing.tilt), math.sin(thing.tilt)
    inside = SHAPES[thing.shape](cos * x + sin * y, cos * y - sin * x)
    height, width = (span.stop - span.start for span in spans)
    cover = inside.reshape(height, _SAMPLES, width, _SAMPLES).mean((1, 3))
    return spans[0], spans[1], cover


# {a} "a red star", {a:full} with its size, {a:the} "the red star", {a:size}, {a:place};
# {ab} how a stands to b: "left of", "above", …
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


def generate_captions(scene: Scene, count: int = 5) -> list[str]:
    """Return `count` differently worded captions, all true, the same ones at every call."""
    rng = random.Random(scene.seed)
    sentences = []
    for wording in rng.sample(_WORDINGS[len(scene.things)], count):
        named = dict(zip("ab", rng.sample(scene.things, len(scene.things)), strict=False))
        fields: dict[str, object] = {name: _Noun(thing, rng) for name, thing in named.items()}
        for one, two in itertools.permutations(named, 2):
            fields[one + two] = _relation(named[one], named[two], rng)
        sentences.append(wording.format(**fields))
    return sentences


@dataclass(frozen=True)
class _Noun:
    """A thing as the format fields of `_WORDINGS` ask for it."""

    thing: SceneObject
    rng: random.Random

    def __format__(self, wanted: str) -> str:
        size = self.rng.choice(_SIZE_WORDS[self.thing.size])
        name = f"{self.thing.color} {self.thing.shape}"
        if wanted == "size":
            return size
        if wanted == "place":
            return _place_words(self.thing, self.rng)
        if wanted == "full":
            return f"a {size} {name}"
        article = "the" if wanted == "the" else "an" if name[0] in "aeiou" else "a"
        return f"{article} {name}"


def _place_words(thing: SceneObject, rng: random.Random) -> str:
    row, column = thing.row, thing.column
    if (row, column) == ("middle", "middle"):
        return rng.choice(("in the centre", "in the middle"))
    if row == "middle":
        return f"on the {column}"
    return f"at the {row}" if column == "middle" else f"at the {row} {column}"


def _relation(one: SceneObject, two: SceneObject, rng: random.Random) -> str:
    """Say how `one` stands to `two`; columns and rows lie so far apart that it is clear."""
    words: list[str] = []
    if one.column != two.column:
        side = "left" if one.x < two.x else "right"
        words += [f"{side} of", f"to the {side} of"]
    if one.row != two.row:
        words += ["above", "over"] if one.y < two.y else ["below", "under"]
    return rng.choice(words)
