"""Is a caption of a synthetic scene or clip true? A scene is a clip in which nothing moves.

A sentence is true when all its statements hold for one assignment of the objects it mentions to
different objects of the scene. A sentence that `parse` cannot read is false.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from data.builtin.caption_parser import Claims, parse
from data.builtin.clips import SyntheticClip
from data.builtin.scenes import Scene, SceneObject

# Thresholds; lengths are fractions of the image's side.
APART = 0.14  # one object is left of or above another
MOVED = 0.15  # an object has moved
RESIZED = 1.3  # ratio of the sizes of an object that has grown or shrunk
TURNED = 0.5  # radians
TOUCHING = 0.05  # gap between two objects that are apart

Track = tuple[SceneObject, SceneObject]  # an object in the first and in the last frame


def is_true(caption: str, scene: Scene | SyntheticClip) -> bool:
    """Return whether every statement of the caption holds in the scene or clip."""
    if isinstance(scene, SyntheticClip):
        claims = parse(caption, moving=True)
        first, last = scene.scene(0), scene.scene(1)
    else:
        claims = parse(caption, moving=False)
        first = last = scene
    if claims is None or claims.count not in (None, len(first.objects)):
        return False
    tracks = list(zip(first.objects, last.objects, strict=True))
    return any(
        _holds(claims, chosen) for chosen in itertools.permutations(tracks, len(claims.mentions))
    )


def _holds(claims: Claims, tracks: Sequence[Track]) -> bool:
    """Return whether the claims hold when mention k is the object of track k."""
    return (
        all(
            getattr(item, attribute) == value
            for track, mention in zip(tracks, claims.mentions, strict=True)
            for attribute, value in mention
            for item in track
        )
        and all(_MOTIONS[motion](*tracks[index]) for index, motion in claims.motions)
        and all(_RELATIONS[name](tracks[one], tracks[two]) for one, name, two in claims.relations)
    )


_MOTIONS: Mapping[str, Callable[[SceneObject, SceneObject], bool]] = {
    "left": lambda start, end: start.x - end.x > MOVED,
    "right": lambda start, end: end.x - start.x > MOVED,
    "up": lambda start, end: start.y - end.y > MOVED,
    "down": lambda start, end: end.y - start.y > MOVED,
    "turn": lambda start, end: abs(end.tilt - start.tilt) > TURNED,
    "grow": lambda start, end: end.radius > RESIZED * start.radius,
    "shrink": lambda start, end: start.radius > RESIZED * end.radius,
}


def _gaps(one: Track, two: Track) -> tuple[float, float]:
    """Return the distance between the edges of two objects, in the first and the last frame."""
    before, after = (
        math.hypot(a.x - b.x, a.y - b.y) - a.radius - b.radius
        for a, b in zip(one, two, strict=True)
    )
    return before, after


def _meet(one: Track, two: Track) -> bool:
    before, after = _gaps(one, two)
    return before > TOUCHING > after


def _approach(one: Track, two: Track) -> bool:
    before, after = _gaps(one, two)
    return before - after > MOVED


_RELATIONS: Mapping[str, Callable[[Track, Track], bool]] = {
    "left": lambda one, two: two[0].x - one[0].x > APART,
    "right": lambda one, two: one[0].x - two[0].x > APART,
    "above": lambda one, two: two[0].y - one[0].y > APART,
    "below": lambda one, two: one[0].y - two[0].y > APART,
    "meet": _meet,
    "part": lambda one, two: _meet(one[::-1], two[::-1]),
    "towards": _approach,
    "away": lambda one, two: _approach(one[::-1], two[::-1]),
}
