"""Synthetic clips: moving shapes, with an action and five true captions each.

One object moves, turns, grows or shrinks, or two objects meet or part. As in
`data.builtin.scenes`, everything follows from (split, seed, index). No two splits share an action
of the same objects in the same places.

>>> clip_id, clip = next(synthetic_clips("test"))
>>> clip == clip_by_id(clip_id) and clip.action in ACTIONS
True
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.annotations.entries import Entry
from data.builtin import scenes
from data.builtin.scenes import COLORS, SHAPES, Pose, Scene, SceneObject, Tones, noun, place_words
from data.builtin.splits import split_of_scene
from data.media.images import encode_png

# Increased when the same seed gives other clips or captions; scenes.py renders their frames.
VERSION = 1
SPLITS: Mapping[str, int] = {"train": 4000, "validation": 300, "test": 500}
FRAMES = 12
RATE = 6  # frames per second: a clip lasts two seconds
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

_LANES = (0.27, 0.5, 0.73)  # the centers of rows and columns
_SPREAD = 0.02  # largest offset of an object from there
_TRAVEL = 0.29  # either way from the center
_RADIUS = (0.13, 0.16)
_TURNING_RADIUS = (0.19, 0.22)
_SMALL_RADIUS, _LARGE_RADIUS = (0.09, 0.11), (0.21, 0.23)
_TURN = (1.2, 2.6)  # radians, either way
_TILT = 0.15
_TOUCH = 0.01  # gap between two objects that have met


class MovingObject(NamedTuple):
    """An object that moves at constant speed from one pose to another."""

    start: SceneObject
    end: SceneObject

    def at(self, part: float) -> SceneObject:
        """Return the object after a part of the clip, 0 to 1."""
        names = ("x", "y", "radius", "tilt")
        ends = [(getattr(self.start, name), getattr(self.end, name)) for name in names]
        pose = (start + part * (end - start) for start, end in ends)
        return SceneObject(self.start.shape, self.start.color, self.start.size, *pose)


@dataclass(frozen=True)
class SyntheticClip:
    """Objects that never overlap, on a background that blends two tones."""

    action: str
    objects: tuple[MovingObject, ...]
    background: Tones
    seed: int  # of the noise in the frames and of the wording of the captions

    def content(self) -> str:
        """Return what decides the split: the action, the objects and their places."""
        objects = sorted(f"{o.color} {o.shape} {o.row} {o.column}" for o, _ in self.objects)
        return ";".join([self.action, *objects])

    def scene(self, part: float) -> Scene:
        """Return the scene after a part of the clip, 0 to 1."""
        objects = tuple(each.at(part) for each in self.objects)
        # The same noise in all frames would distinguish frames from images.
        return Scene(objects, self.background, self.seed + round(1e6 * part))


def synthetic_clips(split: str, seed: int = 0) -> Iterator[tuple[str, SyntheticClip]]:
    """Yield the id and the content of each clip of a split."""
    for index in range(SPLITS[split]):
        clip_id = f"{split}-{seed}-{index:05d}"
        yield clip_id, clip_by_id(clip_id)


def clip_by_id(clip_id: str) -> SyntheticClip:
    """Return the clip with an id such as "test-0-00003": split, seed, index."""
    split = clip_id.partition("-")[0]
    assert split in SPLITS
    # Seeding with a string goes through SHA-512: the same numbers in every process.
    rng = random.Random(f"clip {clip_id}")
    action = rng.choice(ACTIONS)  # chosen once, so that actions are equally frequent in a split
    while True:
        clip = _compose(rng, action)
        if split_of_scene(clip.content()) == split:
            return clip


def entries(seed: int) -> Iterator[Entry]:
    """Yield the entries of all splits."""
    for split in SPLITS:
        for name, clip in synthetic_clips(split, seed):
            yield Entry(name, name, "", tuple(generate_captions(clip)), split, clip.action)


def render_pngs(clip_id: str) -> list[bytes]:
    """Return the frames of a clip, encoded."""
    return [encode_png(frame) for frame in render(clip_by_id(clip_id))]


def _compose(rng: random.Random, action: str) -> SyntheticClip:
    poses = (
        _pair_poses(rng, action)
        if action in ("meet", "part")
        else [_single_object_poses(rng, action)]
    )
    combinations = sorted(itertools.product(SHAPES, COLORS))
    if action == "turn":  # invisible in a circle
        combinations = [each for each in combinations if each[0] != "circle"]
    chosen = rng.sample(combinations, len(poses))
    objects = tuple(
        MovingObject(*(SceneObject(shape, color, "large", *pose) for pose in start_end))
        for (shape, color), start_end in zip(chosen, poses, strict=True)
    )
    return SyntheticClip(action, objects, scenes.background(rng), rng.getrandbits(32))


def _single_object_poses(rng: random.Random, action: str) -> tuple[Pose, Pose]:
    """Return the first and the last pose of a single object."""
    x, y = _place(rng), _place(rng)
    tilt = rng.uniform(-_TILT, _TILT)
    if action == "turn":
        radius = rng.uniform(*_TURNING_RADIUS)
        turn = rng.choice((-1, 1)) * rng.uniform(*_TURN)
        return (x, y, radius, tilt), (x, y, radius, tilt + turn)
    if action in ("grow", "shrink"):
        radii = [rng.uniform(*limits) for limits in (_SMALL_RADIUS, _LARGE_RADIUS)]
        start, end = radii if action == "grow" else radii[::-1]
        return (x, y, start, tilt), (x, y, end, tilt)
    right, down = DIRECTIONS[action.removeprefix("move ")]
    radius, offset = rng.uniform(*_RADIUS), rng.uniform(-_SPREAD, _SPREAD)

    def pose(way: float) -> Pose:
        across = 0.5 + way * right + offset if right else x
        return across, 0.5 + way * down + offset if down else y, radius, tilt

    return pose(-_TRAVEL), pose(_TRAVEL)


def _pair_poses(rng: random.Random, action: str) -> list[tuple[Pose, Pose]]:
    """Return the first and the last pose of two objects on a horizontal or vertical line."""
    across, lane = rng.random() < 0.5, _place(rng)
    radii = [rng.uniform(*_RADIUS) for _ in range(2)]
    apart = 2 * (_TRAVEL + 0.04)
    ways = []
    for side, radius in zip((-1, 1), radii, strict=True):
        near, far = side * (sum(radii) + _TOUCH) / 2, side * apart / 2
        tilt = rng.uniform(-_TILT, _TILT)
        far_pose, near_pose = (
            (0.5 + way, lane, radius, tilt) if across else (lane, 0.5 + way, radius, tilt)
            for way in (far, near)
        )
        ways.append((far_pose, near_pose) if action == "meet" else (near_pose, far_pose))
    return ways


def _place(rng: random.Random) -> float:
    return rng.choice(_LANES) + rng.uniform(-_SPREAD, _SPREAD)


def render(clip: SyntheticClip) -> npt.NDArray[np.uint8]:
    """Return the frames, uint8 `[12, 64, 64, 3]`, RGB."""
    parts = np.linspace(0, 1, FRAMES)
    return np.stack([scenes.render(clip.scene(float(part))) for part in parts])


# {a} "a red star"; {color}, {shape} of a; {place} "at the top left"; {does} "grows",
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
# For each action: "it …", "it is …"; for two objects also "they …".
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
    "meet": (("meets", "meeting", "meet"), ("moves towards", "coming together", "come together")),
    "part": (("parts from", "parting", "part"), ("moves away from", "moving apart", "move apart")),
} | {
    f"move {direction}": tuple(
        (f"{verb[0]} {to}", f"{verb[1]} {to}")
        for verb in (("moves", "moving"), ("goes", "going"))
        for to in words
    )
    for direction, words in _TOWARDS.items()
}


def generate_captions(clip: SyntheticClip) -> list[str]:
    """Return five captions, differently worded and all true; always the same for a clip."""
    rng = random.Random(clip.seed)
    moves = clip.action.startswith("move")
    wordings = _PAIR if len(clip.objects) == 2 else _ONE if moves else _ONE + _ONE_IN_PLACE
    sentences = []
    for wording in rng.sample(wordings, scenes.CAPTIONS):
        objects = [each.start for each in rng.sample(clip.objects, len(clip.objects))]
        first = objects[0]
        does, doing, *do = rng.choice(_VERBS[clip.action])
        fields = {name: noun(item) for name, item in zip("ab", objects, strict=False)}
        fields |= {"shape": first.shape, "color": first.color, "place": place_words(first)}
        sentences.append(wording.format(**fields, does=does, doing=doing, do="".join(do)))
    return sentences
