"""Examples that are too similar, within and across splits: contents, groups, texts."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import cv2
import numpy as np

from data.annotations.entries import Entry
from data.annotations.splits import text_key
from data.common.errors import UserError
from data.media.similarity import NEAR, near_pairs, perceptual_hash
from data.media.words import tokenize
from data.sharding.annotation_checks import FREQUENT_WORDS
from data.sharding.findings import Example, Finding
from data.storage.dataset_info import Dataset
from data.storage.fingerprints import CHUNK, entry_digest

SIDE = 128  # the longest side of the images that are compared, pixels
TINY = 64  # the longest side of an image with few details, pixels
NARROW = 10  # the longer side by the shorter
MANY_COPIED = 0.1  # the share of captions
_SAME_CONTENT = ("same image", "same clip", "near-duplicate", "same text")


class Image(NamedTuple):
    """What is compared of an image, or of the middle frame of a clip.

    Attributes:
        digest: of its stored form; of a clip, of the file and the part of it.
        hash: see `perceptual_hash`.
        size: width and height, at most `SIDE`.
        features: float32, see `data.sharding.mislabeled.image_features`; None if not wanted.
    """

    digest: bytes
    hash: int
    size: tuple[int, int]
    features: np.ndarray | None = None


class Pair(NamedTuple):
    """Two examples that are too similar.

    Attributes:
        kind: "same image" (or "same clip"), "near-duplicate", "same group", "same captions".
        first: the one in the test split, else the one in validation.
        second: the other.
        detail: how similar they are, or what they share.
    """

    kind: str
    first: Entry
    second: Entry
    detail: str = ""

    @property
    def across(self) -> bool:
        """Whether they are in different splits."""
        return self.first.split != self.second.split

    def __str__(self) -> str:
        """Describe the pair in a line."""
        first, second = self.first, self.second
        return (
            f"{self.kind}: {first.file} ({first.split}) and {second.file} ({second.split})"
            f"{': ' * bool(self.detail)}{self.detail}"
        )


def content_of(dataset: Dataset, entry: Entry, side: int = SIDE) -> bytes:
    """Return an image, or the middle frame of a clip, decoded as for training and encoded again.

    Raises:
        UserError: with the reason why it cannot be decoded.
        OSError: if its file cannot be read.
    """
    wanted = {"image_size": side, "frames": 1}
    options = {name: value for name, value in wanted.items() if name in dataset.flags}
    content = dataset.load(entry, dataset.options(options)).example[dataset.content]
    image: bytes = content[len(content) // 2] if isinstance(content, list) else content
    return image


def read_images(
    dataset: Dataset,
    entries: Sequence[Entry],
    bar: Any,
    features: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[Image | str]:
    """Return what is compared of each example, or the reason why it cannot be decoded.

    Args:
        dataset: of the entries.
        entries: images or clips.
        bar: a progress bar, updated for each.
        features: computes the features of an image, uint8 `[height, width, 3]`.
    """

    def read(entry: Entry) -> Image | str:
        try:
            encoded = content_of(dataset, entry)
        except (UserError, OSError) as error:
            return getattr(error, "strerror", None) or str(error)
        finally:
            bar.update()
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert pixels is not None  # it was just encoded
        height, width = pixels.shape[:2]
        found = None if features is None else features(pixels)
        if dataset.unit == "clips":  # one frame in common is not enough
            encoded = f"{entry_digest(entry)} {entry.start} {entry.end}".encode()
        digest = hashlib.sha256(encoded).digest()
        return Image(digest, perceptual_hash(pixels), (width, height), found)

    images = list[Image | str]()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for start in range(0, len(entries), CHUNK):
            images += pool.map(read, entries[start : start + CHUNK])
    return images


def image_findings(entries: Sequence[Entry], images: Sequence[Image | str]) -> Iterator[Finding]:
    """Yield the images that cannot be decoded, or show little."""
    pairs = list(zip(entries, images, strict=False))  # none for texts
    readable = [(entry, image) for entry, image in pairs if isinstance(image, Image)]
    sized = [(entry, image, max(image.size), min(image.size)) for entry, image in readable]
    for name, text, found in (
        ("undecodable", "cannot be decoded", [(e, i) for e, i in pairs if isinstance(i, str)]),
        ("blank", "almost of one color", [(e, "blank") for e, i in readable if not i.hash]),
        ("tiny", f"smaller than {TINY} pixels",
         [(e, "{} x {}".format(*i.size)) for e, i, longer, _ in sized if longer < TINY]),
        ("narrow", f"more than {NARROW} times as long as wide",
         [(e, "narrow") for e, i, longer, shorter in sized if longer > NARROW * shorter]),
    ):  # fmt: skip
        if found:
            examples = [Example(f"{entry.file}: {why}", (entry,)) for entry, why in found]
            yield Finding("Images", name, f"{text} ({len(found):,})", True, examples=examples)


def find_pairs(
    entries: Sequence[Entry],
    images: Sequence[Image | str],
    *,
    near: int = NEAR,
    unit: str = "image",
) -> list[Pair]:
    """Compare all examples with each other, within and across splits.

    Args:
        entries: of a source.
        images: of each, as `read_images` returns them; none for texts.
        near: images are near-duplicates if at most this many of the 64 bits of their hashes differ.
        unit: the noun for an example.

    Returns:
        The pairs, the most certain first, each once: an example with the most similar of those
        before it.
    """
    order = {"test": 0, "validation": 1}
    known = {entry: image for entry, image in zip(entries, images, strict=False)}
    entries = sorted(entries, key=lambda entry: order.get(entry.split, 2))
    readable = {each: image for each in entries if isinstance(image := known.get(each), Image)}

    def words(entry: Entry) -> Hashable:
        return frozenset(map(text_key, entry.captions))

    found = [
        *_shared(f"same {unit}", readable, lambda each: readable[each].digest),
        *_near(list(readable), [image.hash for image in readable.values()], near),
        *(pair for pair in _shared("same group", entries, lambda each: each.group) if pair.across),
        *_shared(f"same {unit}" if unit in ("text", "pair") else "same captions", entries, words),
    ]
    pairs: dict[frozenset[str], Pair] = {}
    for pair in found:
        pairs.setdefault(frozenset((pair.first.image_id, pair.second.image_id)), pair)
    return list(pairs.values())


def pair_findings(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """Yield the pairs of each kind: across splits, contradictory, and within a split."""
    across = defaultdict[str, list[Pair]](list)
    within = defaultdict[str, list[Pair]](list)
    several = list(pairs)
    for pair in several:
        (across if pair.across else within)[pair.kind].append(pair)
    section = "Duplicates"
    for kind, found in across.items():
        text = f"{kind} in two splits ({len(found):,}): the scores are too high"
        yield Finding(section, "across_splits", text, True, {"kind": kind}, _examples(found))
    labels = [
        Example(f"{pair}; {pair.first.label!r}, {pair.second.label!r}", (pair.first, pair.second))
        for pair in several
        if pair.first.label != pair.second.label and pair.kind in _SAME_CONTENT
    ]
    contradictory = _contradictory(several)
    for name, text, examples in (
        ("contradictory_labels", "similar, with different labels", labels),
        ("contradictory_captions", "similar, with no word in common", contradictory),
    ):
        if examples:
            text = f"{text} ({len(examples):,})"
            yield Finding(section, name, text, True, examples=examples)
    for kind, found in within.items():
        text = f"{kind} in one split ({len(found):,})"
        yield Finding(section, "within_split", text, False, {"kind": kind}, _examples(found))


def _examples(pairs: Sequence[Pair]) -> list[Example]:
    return [Example(str(pair), (pair.first, pair.second)) for pair in pairs]


def _contradictory(pairs: Iterable[Pair]) -> list[Example]:
    """Return the pairs of one image whose captions have no word in common, frequent ones aside."""
    examples = []
    for pair in pairs:
        first, second = (
            {word for caption in entry.captions for word in tokenize(caption)} - FREQUENT_WORDS
            for entry in (pair.first, pair.second)
        )
        alike = pair.kind in _SAME_CONTENT
        if alike and first and second and first.isdisjoint(second):
            text = f"{pair}; {pair.first.captions[0]!r} and {pair.second.captions[0]!r}"
            examples.append(Example(text, (pair.first, pair.second)))
    return examples


def copied_findings(entries: Iterable[Entry], paired: bool) -> Iterator[Finding]:
    """Yield the captions that several examples have, or the texts that are not translated."""
    counts, written, total = Counter[str](), dict[str, str](), 0
    for entry in entries:
        texts = {text_key(caption): caption for caption in entry.captions}
        written |= texts
        total += 1 if paired else len(texts)
        counts.update(texts.keys() if len(texts) == 1 or not paired else ())
    copied = [(text, count) for text, count in counts.most_common() if paired or count > 1]
    if not copied:
        return
    share = sum(count for _, count in copied) / total
    what = "translations equal their text" if paired else "captions stand with other examples too"
    examples = [Example(f"{written[text]!r}, {count:,} times") for text, count in copied]
    yield Finding(
        "Captions" if not paired else "Translations",
        "copied",
        f"{share:.1%} of the {what}",
        share > MANY_COPIED,
        {"share": share},
        examples,
    )


def _shared(
    kind: str, entries: Iterable[Entry], key: Callable[[Entry], Hashable]
) -> Iterator[Pair]:
    """Yield pairs with the same key: the first entry and each later one."""
    first: dict[Hashable, Entry] = {}
    for entry in entries:
        value = key(entry)
        if value and (other := first.setdefault(value, entry)) is not entry:
            detail = value if isinstance(value, str) and kind == "same group" else ""
            yield Pair(kind, other, entry, detail)


def _near(entries: Sequence[Entry], hashes: Sequence[int], near: int) -> Iterator[Pair]:
    """Yield each entry with the most similar one before it, in its split and in others."""
    best: dict[tuple[int, bool], tuple[int, int, int]] = {}
    for differ, first, second in near_pairs(np.array(hashes, np.uint64), near):
        key = second, entries[first].split == entries[second].split
        best[key] = min(best.get(key, (differ, first, second)), (differ, first, second))
    for differ, first, second in sorted(best.values()):
        yield Pair("near-duplicate", entries[first], entries[second], f"{differ} of 64 bits differ")
