"""The built-in clips: drawn shapes that move, with an action and five true captions each.

One thing moves, turns, grows or shrinks, or two meet or part. As with `data.builtin.scenes`,
everything
follows from (split, seed, index), and the hash of a clip's content says which split may hold it:
no two splits share an action of the same things in the same place, whatever their seeds.

>>> clip_id, clip = next(synthetic_clips("test"))
>>> clip == clip_by_id(clip_id) and clip.action in ACTIONS
True
>>> render(clip).shape
(12, 64, 64, 3)
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.builtin import scenes
from data.builtin.scenes import COLORS, COLUMNS, ROWS, SHAPES, Scene, SceneObject
from data.common.errors import unknown

# Raised when the same seed gives other clips or captions; scenes.py draws their shapes.
VERSION = 1
SPLITS: Mapping[str, int] = {"train": 4000, "validation": 300, "test": 500}
FRAMES = 12
RATE = 6  # frames a second: a clip takes two
DIRECTIONS: Mapping[str, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
}
ACTIONS = (
    *(f"move {direction}" for direction in DIRECTIONS),
    *("turn", "grow", "shrink", "meet", "part"),
)

_LANES = (0.27, 0.5, 0.73)  # the middles of rows and columns
_SPREAD = 0.02  # how far a thing strays from there
_TRAVEL = 0.29  # either way from the middle
_RADIUS = (0.13, 0.16)
_TURNING_RADIUS = (0.19, 0.22)
_SMALL_RADIUS, _LARGE_RADIUS = (0.09, 0.11), (0.21, 0.23)
_TURN = (1.2, 2.6)  # radians, either way
_TILT = 0.15
_TOUCH = 0.01  # between two things that have met


class Pose(NamedTuple):
    """Where a thing is; lengths are fractions of the picture's side, y grows downwards."""

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


class Actor(NamedTuple):
    """A shape on its way, at an even pace, from one pose to another."""

    shape: str
    color: str
    start: Pose
    end: Pose

    def pose(self, part: float) -> Pose:
        """Return the pose after a part of the way, 0 to 1."""
        ways = zip(self.start, self.end, strict=True)
        return Pose(*(start + part * (end - start) for start, end in ways))


@dataclass(frozen=True)
class SyntheticClip:
    """Actors on a background that runs from one tone to another; never two overlap."""

    action: str
    actors: tuple[Actor, ...]
    background: tuple[tuple[int, int, int], tuple[int, int, int]]  # RGB at two opposite corners
    seed: int  # of the grain in the frames and of the captions' wording

    def content(self) -> str:
        """Return what decides the split: the action, the things and their places."""
        actors = sorted(f"{a.color} {a.shape} {a.start.row} {a.start.column}" for a in self.actors)
        return ";".join([self.action, *actors])

    def scene(self, part: float) -> Scene:
        """Return what is seen after a part of the clip, 0 to 1."""
        things = tuple(
            SceneObject(actor.shape, actor.color, "large", *actor.pose(part))
            for actor in self.actors
        )
        # Grain that stood still would tell frames apart from pictures.
        return Scene(things, self.background, self.seed + round(1e6 * part))


def synthetic_clips(
    split: str, count: int | None = None, seed: int = 0
) -> Iterator[tuple[str, SyntheticClip]]:
    """Yield the id and the clip of the first `count` (by default `SPLITS[split]`) of a split.

    Raises:
        UserError: if there is no such split.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    for index in range(SPLITS[split] if count is None else count):
        clip_id = f"{split}-{seed}-{index:05d}"
        yield clip_id, clip_by_id(clip_id)


def clip_by_id(clip_id: str) -> SyntheticClip:
    """Return the clip of an id such as "test-0-00003": split, seed, index.

    Raises:
        UserError: if the id does not read so.
    """
    split = scenes.split_in_id(clip_id, SPLITS)
    # Seeding by a string goes through SHA-512: the same numbers in every process.
    rng = random.Random(f"clip {clip_id}")
    action = rng.choice(ACTIONS)  # once, so that every split has as many of each
    while True:
        clip = _compose(rng, action)
        if scenes.split_of(clip.content()) == split:
            return clip


def _compose(rng: random.Random, action: str) -> SyntheticClip:
    poses = _two(rng, action) if action in ("meet", "part") else [_one(rng, action)]
    kinds = sorted(itertools.product(SHAPES, COLORS))
    if action == "turn":
        kinds = [kind for kind in kinds if kind[0] != "circle"]  # none would see it
    looks = rng.sample(kinds, len(poses))
    actors = tuple(Actor(*look, *way) for look, way in zip(looks, poses, strict=True))
    return SyntheticClip(action, actors, scenes.background(rng), rng.getrandbits(32))


def _one(rng: random.Random, action: str) -> tuple[Pose, Pose]:
    """Return where a thing begins and ends that acts alone."""
    x, y = _place(rng), _place(rng)
    tilt = rng.uniform(-_TILT, _TILT)
    if action == "turn":
        start = Pose(x, y, rng.uniform(*_TURNING_RADIUS), tilt)
        return start, start._replace(tilt=tilt + rng.choice((-1, 1)) * rng.uniform(*_TURN))
    if action in ("grow", "shrink"):
        small, large = (
            Pose(x, y, rng.uniform(*radius), tilt) for radius in (_SMALL_RADIUS, _LARGE_RADIUS)
        )
        return (small, large) if action == "grow" else (large, small)
    right, down = DIRECTIONS[action.removeprefix("move ")]
    radius, strays = rng.uniform(*_RADIUS), rng.uniform(-_SPREAD, _SPREAD)
    start, end = (
        Pose(
            0.5 + way * right + strays if right else x,
            0.5 + way * down + strays if down else y,
            radius,
            tilt,
        )
        for way in (-_TRAVEL, _TRAVEL)
    )
    return start, end


def _two(rng: random.Random, action: str) -> list[tuple[Pose, Pose]]:
    """Return where two things begin and end, on a line across or down."""
    across, lane = rng.random() < 0.5, _place(rng)
    radii = [rng.uniform(*_RADIUS) for _ in range(2)]
    apart = 2 * (_TRAVEL + 0.04)
    ways = []
    for side, radius in zip((-1, 1), radii, strict=True):
        near, far = side * (sum(radii) + _TOUCH) / 2, side * apart / 2
        tilt = rng.uniform(-_TILT, _TILT)
        far_pose, near_pose = (
            Pose(0.5 + way, lane, radius, tilt) if across else Pose(lane, 0.5 + way, radius, tilt)
            for way in (far, near)
        )
        ways.append((far_pose, near_pose) if action == "meet" else (near_pose, far_pose))
    return ways


def _place(rng: random.Random) -> float:
    return rng.choice(_LANES) + rng.uniform(-_SPREAD, _SPREAD)


def render(clip: SyntheticClip, pixels: int = 64, frames: int = FRAMES) -> npt.NDArray[np.uint8]:
    """Return the frames, uint8 `[frames, pixels, pixels, 3]`, RGB."""
    parts = np.linspace(0, 1, frames)
    return np.stack([scenes.render(clip.scene(float(part)), pixels) for part in parts])


# {a} "a red star"; {color}, {shape} its own; {place} "at the top left"; {does} "grows",
# {doing} "growing".
_ONE = (
    "{a} {does}",
    "the clip shows {a} {doing}",
    "there is {a} and it {does}",
    "one thing: {a} that {does}",
    "a {shape} {does} and it is {color}",
    "{a} is {doing}",
)
_ONE_IN_PLACE = ("{a} {place} {does}", "{place} {a} {does}", "there is {a} {place}, it {does}")
_PAIR = (
    "{a} and {b} {do}",
    "{a} {does} {b}",
    "the clip shows {a} and {b} {doing}",
    "two things: {a} and {b}, they {do}",
    "there is {a} and there is {b}, they {do}",
    "{b} and {a} are {doing}",
)
# For each action: "it …", "it is …"; of two things also "they …".
_TOWARDS = {
    "left": ("left", "to the left", "from right to left"),
    "right": ("right", "to the right", "from left to right"),
    "up": ("up", "upwards", "from bottom to top"),
    "down": ("down", "downwards", "from top to bottom"),
}
_VERBS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "turn": (("turns", "turning"), ("rotates", "rotating"), ("spins", "spinning")),
    "grow": (("grows", "growing"), ("gets larger", "getting larger")),
    "shrink": (("shrinks", "shrinking"), ("gets smaller", "getting smaller")),
    "meet": (
        ("meets", "meeting", "meet"),
        ("moves towards", "coming together", "come together"),
    ),
    "part": (
        ("parts from", "parting", "part"),
        ("moves away from", "moving apart", "move apart"),
    ),
} | {
    f"move {direction}": tuple(
        (f"{verb[0]} {to}", f"{verb[1]} {to}")
        for verb in (("moves", "moving"), ("goes", "going"))
        for to in words
    )
    for direction, words in _TOWARDS.items()
}


def generate_captions(clip: SyntheticClip, count: int = 5) -> list[str]:
    """Return `count` differently worded captions, all true, the same ones at every call."""
    rng = random.Random(clip.seed)
    moves = clip.action.startswith("move")
    wordings = _PAIR if len(clip.actors) == 2 else _ONE if moves else _ONE + _ONE_IN_PLACE
    sentences = []
    for wording in rng.sample(wordings, count):
        actors = rng.sample(clip.actors, len(clip.actors))
        first = actors[0]
        does, doing, *do = rng.choice(_VERBS[clip.action])
        fields = {name: _noun(actor) for name, actor in zip("ab", actors, strict=False)}
        fields |= {"shape": first.shape, "color": first.color, "place": _place_words(first.start)}
        sentences.append(wording.format(**fields, does=does, doing=doing, do="".join(do)))
    return sentences


def _noun(actor: Actor) -> str:
    article = "an" if actor.color[0] in "aeiou" else "a"
    return f"{article} {actor.color} {actor.shape}"


def _place_words(pose: Pose) -> str:
    row, column = pose.row, pose.column
    if row == column == "middle":
        return "in the middle"
    if row == "middle":
        return f"on the {column}"
    return f"at the {row}" if column == "middle" else f"at the {row} {column}"
