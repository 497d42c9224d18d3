"""A prepared dataset as shards: cut by a hash of the ids, kept by what they are made of.

While it is made, `OUT/.work` holds `job.json` and, of each shard, `KEY.items` (what it is made of),
`KEY.tfrecord` and `KEY.json` (its note: there when the shard is finished). When all are, they are
moved to `OUT`, where TensorFlow Datasets finds them; `dataset_info.json`, without which nothing
reads them, comes last and, when shards change, goes first.

A shard's bytes follow from its items and the job alone: not from the number of workers, from what
was killed before, or from the rest of the source. A key is a hash of both, so that a shard whose
pictures have not changed is found again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from data.errors import UserError
from data.files import atomic_write
from data.fingerprints import content, mark
from data.listing import Entry
from data.manifest import INFO, MANIFEST, read_json, read_manifest, wrong_sizes
from data.problems import Problem, repeats

CHUNK = 1024  # files to hash that are asked for at once: each request takes a kilobyte
FORMAT = 3  # raised when other bytes are stored for the same source


class Item(NamedTuple):
    """What an example is made of.

    Attributes:
        entry: as a source lists it.
        digest: of its file; an errno where it cannot be read; None where it has no file.
        mark: of the file when it was hashed: changes when it does.
    """

    entry: Entry
    digest: str | int | None
    mark: str | None

    def to_json(self) -> list[Any]:
        """Return what `from_json` reads."""
        return [*self]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> Item:
        """Read what `to_json` returned."""
        image_id, file, place, captions, *others = values[0]
        return cls(Entry(image_id, file, place, tuple(captions), *others), *values[1:])


@dataclass(frozen=True)
class Shard:
    """A unit of work, and the file that comes of it.

    Attributes:
        key: a hash of the job and the items.
        split: that it belongs to.
        items: in the order of their hashes.
    """

    key: str
    split: str
    items: Sequence[Item]


def cut(names: Iterable[str], most: int) -> Iterator[list[str]]:
    """Yield names in groups of at most `most`, by the first bits of their hashes.

    A group that would be larger is two, by one bit more. So a name that comes anew changes the
    group it falls into, at most cuts it in two, and leaves the others as they are.

    >>> list(cut("abcdef", 2))
    [['d'], ['f', 'c'], ['b', 'e'], ['a']]
    """
    places = {name: int(hashlib.sha256(name.encode()).hexdigest(), 16) for name in names}
    yield from _cut(sorted(places, key=places.__getitem__), places, most, 255)


def _cut(names: list[str], places: Mapping[str, int], most: int, bit: int) -> Iterator[list[str]]:
    if len(names) <= most:
        if names:
            yield names
        return
    for _, part in groupby(names, lambda name: places[name] >> bit & 1):
        yield from _cut(list(part), places, most, bit - 1)


def hashed(entries: Sequence[Entry], known: Path) -> list[Item]:
    """Read the entries' files, but for those that have been read before, and hash them.

    Args:
        entries: those without a file have no `place`.
        known: a file that says what was found the last time; it is written anew.
    """
    before = json.loads(known.read_text()) if known.exists() else {}

    def item(entry: Entry) -> Item:
        if not entry.place:
            return Item(entry, None, None)
        now = mark(entry.path)
        return Item(entry, before.get(now) or content(entry.path), now)

    items: list[Item] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # reading and hashing free Python's lock
        for start in range(0, len(entries), CHUNK):
            items += pool.map(item, entries[start : start + CHUNK])
    found = {item.mark: item.digest for item in items if isinstance(item.digest, str)}
    with atomic_write(known) as file:
        json.dump(found, file)
    return items


def sort_out(items: Iterable[Item], kind: str) -> tuple[list[Item], list[Problem]]:
    """Leave out what would be there twice: the same id, or the same file as `repeats` tells.

    Names that differ only in case are kept and told: on many other disks they are one file.
    """
    kept: list[Item] = []
    problems: list[Problem] = []
    ids: dict[str, Item] = {}
    folded: dict[str, str] = {}
    contents: dict[tuple[Any, str], Item] = {}
    rank = {"test": 0, "validation": 1}
    for item in sorted(items, key=lambda item: rank.get(item.entry.split, 2)):
        entry, where = item.entry, item.entry.place
        first = ids.setdefault(entry.image_id, item)
        if first is not item:
            reason = f"id given twice: {entry.image_id!r} is {first.entry.file} (kept) as well"
            problems.append(Problem(entry.file, reason, where))
            continue
        if isinstance(item.digest, str):
            # A clip's name says which part of the file it is.
            part = entry.file.partition("#t=")[2]
            same = contents.setdefault((item.digest, part), item).entry
            if problem := repeats(entry, same, kind):
                problems.append(problem)
                continue
        other = folded.setdefault(entry.file.casefold(), entry.file)
        if other != entry.file:
            reason = f"differs only in case: from {other}"
            problems.append(Problem(entry.file, reason, where, bad=False))
        kept.append(item)
    return kept, problems


def plan(items: Iterable[Item], job: Mapping[str, Any], most: int) -> list[Shard]:
    """Return the shards of a dataset: split by split, of at most `most` items each."""
    by_split: dict[str, dict[str, Item]] = {}
    for item in items:
        by_split.setdefault(item.entry.split, {})[item.entry.image_id] = item
    known = [split for split in ("train", "validation", "test") if split in by_split]
    others = [split for split in by_split if split not in known]
    return [
        _shard(split, [by_split[split][name] for name in names], job)
        for split in known + others
        for names in cut(by_split[split], most)
    ]


def _shard(split: str, items: list[Item], job: Mapping[str, Any]) -> Shard:
    # Where a file lies and when it was written do not count, nor does where its folder is.
    made_of = [[item.entry[:2], item.entry[3:], item.digest] for item in items]
    key = hashlib.sha256(json.dumps([FORMAT, job, made_of]).encode()).hexdigest()[:32]
    return Shard(key, split, items)


class Workplace:
    """The folder `OUT/.work`: shards under way and finished ones that `OUT` does not show yet."""

    def __init__(self, out: Path) -> None:
        """Name the folder; it is not made."""
        self.out, self.folder = out, out / ".work"

    def path(self, key: str, suffix: str) -> Path:
        """Return the file of a shard: its `.items`, `.tfrecord` or `.json`."""
        return self.folder / f"{key}{suffix}"

    def begin(self, job: Mapping[str, Any], shards: Sequence[Shard]) -> list[Shard]:
        """Take back what was shown, forget what is of no use, and return the shards to make.

        Raises:
            UserError: if something else lies in the folder.
        """
        self._check_job(job)
        self._take_back()
        keep = {"job.json", "digests.json", "lock"}
        keep |= {f"{shard.key}{suffix}" for shard in shards for suffix in (".tfrecord", ".json")}
        for path in self.folder.iterdir():
            if path.name not in keep:
                path.unlink() if path.is_file() else shutil.rmtree(path)
        with atomic_write(self.folder / "job.json") as file:
            json.dump(job, file, indent=1)
        missing = [shard for shard in shards if not self._finished(shard.key)]
        for shard in missing:
            with atomic_write(self.path(shard.key, ".items")) as file:
                json.dump([shard.split, [item.to_json() for item in shard.items]], file)
        return missing

    def is_shown(self, job: Mapping[str, Any], shards: Sequence[Shard]) -> bool:
        """Say whether `OUT` is whole and made of these shards."""
        if not (self.out / INFO).exists() or not (manifest := read_manifest(self.out)):
            return False
        kept = [note["key"] for note in manifest["shards"].values()]
        same = manifest["job"] == job and kept == [shard.key for shard in shards]
        return same and not any(wrong_sizes(self.out, manifest))

    def note(self, key: str) -> dict[str, Any]:
        """Return what is known of a finished shard."""
        note: dict[str, Any] = json.loads(self.path(key, ".json").read_text(encoding="utf-8"))
        return note

    def show(
        self, job: Mapping[str, Any], shards: Sequence[Shard], name: str, files: Mapping[str, bytes]
    ) -> None:
        """Move finished shards to `OUT`; `files` (metadata and reports) follow, the last one last.

        Args:
            job: what was made.
            shards: all of them.
            name: that their files begin with.
            files: by name, in this order.
        """
        counts = {split: 0 for split in (shard.split for shard in shards)}
        for shard in shards:
            counts[shard.split] += 1
        manifest: dict[str, Any] = {"format": FORMAT, "job": job, "shards": {}, "files": {}}
        numbers = dict.fromkeys(counts, 0)
        for shard in shards:
            number, of = numbers[shard.split], counts[shard.split]
            numbers[shard.split] += 1
            file = f"{name}-{shard.split}.tfrecord-{number:05}-of-{of:05}"
            manifest["shards"][file] = {"key": shard.key, **self.note(shard.key)}
        for file, text in files.items():
            digest = hashlib.sha256(text).hexdigest()
            manifest["files"][file] = {"size": len(text), "sha256": digest}
        self._put(MANIFEST, json.dumps(manifest, indent=1).encode())
        for file, note in manifest["shards"].items():
            self.path(note["key"], ".tfrecord").rename(self.out / file)
        for file, text in files.items():
            self._put(file, text)
        for path in self.folder.glob("*.json"):
            if path.name not in ("job.json", "digests.json"):
                path.unlink()

    def _put(self, name: str, text: bytes) -> None:
        """Write a file of `OUT` by way of this folder: what a kill leaves here, `begin` removes."""
        with atomic_write(self.path(name, ".new"), "wb") as stream:
            stream.write(text)
        os.replace(self.path(name, ".new"), self.out / name)

    def _take_back(self) -> None:
        """Undo `show`, wherever it was interrupted."""
        (self.out / INFO).unlink(missing_ok=True)
        manifest = read_manifest(self.out) or {"shards": {}}
        for file, note in manifest["shards"].items():
            path, key = self.out / file, note["key"]
            if path.exists():
                path.rename(self.path(key, ".tfrecord"))
            if not self.path(key, ".json").exists():
                with atomic_write(self.path(key, ".json")) as stream:
                    json.dump({name: note[name] for name in note if name != "key"}, stream)
        (self.out / MANIFEST).unlink(missing_ok=True)

    def _finished(self, key: str) -> bool:
        data, note = self.path(key, ".tfrecord"), self.path(key, ".json")
        if note.exists() and data.exists() and data.stat().st_size == self.note(key)["size"]:
            return True
        note.unlink(missing_ok=True)
        return False

    def _check_job(self, job: Mapping[str, Any]) -> None:
        """Refuse a folder in which something else lies."""
        path = self.folder / "job.json"
        manifest = read_manifest(self.out)
        before = manifest["job"] if manifest else read_json(path) if path.exists() else None
        if before is None:
            others = [each.name for each in self.out.iterdir() if each != self.folder]
            if others:
                raise UserError(
                    f"{self.out} holds other things ({', '.join(sorted(others)[:3])}): name a new "
                    "or empty folder with --out"
                )
        elif differing := [name for name in job if job[name] != before.get(name)]:
            pairs = [f"{name} was {before.get(name)}, now {job[name]}" for name in differing]
            raise UserError(
                f"{self.out} holds another dataset ({'; '.join(pairs)}): name another folder with "
                "--out, or remove it"
            )
