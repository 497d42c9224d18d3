"""A prepared dataset as shards, divided by a hash of the ids.

While a dataset is made, `OUT/.work` holds `job.json` and, of each shard, `KEY.items` (its items),
`KEY.tfrecord` and `KEY.json` (its note, which exists once the shard is finished). When all are
finished, the last two are moved to `OUT`, where TensorFlow Datasets finds them;
`dataset_info.json`, without which nothing reads them, is written last and, when shards change,
removed first.

The bytes of a shard depend only on its items and the job, of which its key is a hash, so that a
shard whose files have not changed is found again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from data.common.errors import UserError
from data.common.files import atomic_write
from data.sharding.work_items import DIGESTS, Item, write_items
from data.storage.manifest import INFO, MANIFEST, read_json, read_manifest, wrong_sizes

FORMAT = 3  # raise it when other bytes are stored for the same source

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """A unit of work: some examples of a split, stored in one file.

    Attributes:
        key: a hash of the job and the items.
        split: the split of its items.
        size: the number of items.
    """

    key: str
    split: str
    size: int


def divide(items: Iterable[T], max_size: int, name: Callable[[T], str] = str) -> Iterator[list[T]]:
    """Yield items in groups of at most `max_size`, by the first bits of the hashes of their names.

    A group that would be larger is halved by one more bit. So a new name changes only one group.

    >>> list(divide("abcdef", 2))
    [['d'], ['f', 'c'], ['b', 'e'], ['a']]
    """

    def place(item: T) -> int:
        return int.from_bytes(hashlib.sha256(name(item).encode()).digest())

    def halves(group: list[T], low: int, high: int) -> Iterator[list[T]]:
        if len(group) <= max_size:
            if group:
                yield group
            return
        middle = (low + high) // 2
        at = bisect_left(group, middle, key=place)
        yield from halves(group[:at], low, middle)
        yield from halves(group[at:], middle, high)

    yield from halves(sorted(items, key=place), 0, 1 << 256)


def plan_shards(
    items: Iterable[Item], job: Mapping[str, Any], max_size: int
) -> dict[Shard, list[Item]]:
    """Return the shards of a dataset, split by split, each with at most `max_size` items."""
    by_split = defaultdict[str, list[Item]](list)
    for item in items:
        by_split[item.entry.split].append(item)
    order = dict.fromkeys(("train", "validation", "test", *by_split))
    return {
        Shard(_key(group, job), split, len(group)): group
        for split in order
        if split in by_split
        for group in divide(by_split[split], max_size, lambda item: item.entry.image_id)
    }


def _key(items: Iterable[Item], job: Mapping[str, Any]) -> str:
    # A file's folder and times do not count.
    rows = (item.to_json() for item in items)
    content = [[entry[:2], entry[3:7], digest] for entry, digest, _ in rows]
    return hashlib.sha256(json.dumps([FORMAT, job, content]).encode()).hexdigest()[:32]


class WorkFolder:
    """The folder `OUT/.work`: unfinished shards, and finished ones that are not published."""

    def __init__(self, out: Path) -> None:
        """Take the folder of the dataset; nothing is created."""
        self.out, self.folder = out, out / ".work"

    def path(self, key: str, suffix: str) -> Path:
        """Return the file of a shard: its `.items`, `.tfrecord` or `.json`."""
        return self.folder / f"{key}{suffix}"

    def begin(self, job: Mapping[str, Any], planned: Mapping[Shard, Sequence[Item]]) -> list[Shard]:
        """Withdraw what was published, remove unneeded files, and return the missing shards.

        Raises:
            UserError: if the folder contains something else.
        """
        self._check_job(job)
        self._withdraw()
        keep = {"job.json", "lock", *(f"{DIGESTS}{end}" for end in ("", ".hashes", ".splits"))}
        suffixes = (".items", ".tfrecord", ".json")
        keep |= {f"{shard.key}{suffix}" for shard in planned for suffix in suffixes}
        for path in self.folder.iterdir():
            if path.name not in keep:
                path.unlink() if path.is_file() else shutil.rmtree(path)
        with atomic_write(self.folder / "job.json") as file:
            json.dump(job, file, indent=1)
        missing = []
        for shard, items in planned.items():
            path = self.path(shard.key, ".items")
            if not self._finished(shard.key):
                missing.append(shard)
            elif path.exists():
                continue
            write_items(path, shard.split, items)
        return missing

    def published(self, job: Mapping[str, Any], shards: Sequence[Shard]) -> dict[str, Any] | None:
        """Return the manifest of `OUT` if it is complete and consists of these shards."""
        manifest = read_manifest(self.out) if (self.out / INFO).exists() else None
        if manifest is None or any(wrong_sizes(self.out, manifest)):
            return None
        kept = [note["key"] for note in manifest["shards"].values()]
        same = manifest["job"] == job and kept == [shard.key for shard in shards]
        return manifest if same else None

    def note(self, key: str) -> dict[str, Any]:
        """Return the note of a finished shard: its split, counts, digest and problems."""
        note: dict[str, Any] = json.loads(self.path(key, ".json").read_text(encoding="utf-8"))
        return note

    def publish(
        self, job: Mapping[str, Any], shards: Sequence[Shard], name: str, files: Mapping[str, bytes]
    ) -> None:
        """Move finished shards to `OUT`, then write `files` (metadata and reports) in their order.

        Args:
            job: what was made.
            shards: all of them.
            name: the prefix of their files.
            files: content by name; readers wait for the last one.
        """
        manifest: dict[str, Any] = {"format": FORMAT, "job": job, "shards": {}, "files": {}}
        counts = Counter(shard.split for shard in shards)
        numbers = {split: itertools.count() for split in counts}
        for shard in shards:
            number = next(numbers[shard.split])
            file = f"{name}-{shard.split}.tfrecord-{number:05}-of-{counts[shard.split]:05}"
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
            if path.name != "job.json":
                path.unlink()

    def _put(self, name: str, text: bytes) -> None:
        """Write a file of `OUT` by way of this folder, where `begin` removes what a kill leaves."""
        with atomic_write(self.path(name, ".new"), "wb") as stream:
            stream.write(text)
        os.replace(self.path(name, ".new"), self.out / name)

    def _withdraw(self) -> None:
        """Undo `publish`, wherever it was interrupted."""
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
        """Refuse a folder that contains something else."""
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
