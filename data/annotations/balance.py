"""Automatic splits: similar examples together, balanced by count and label, stable.

The same examples get the same splits in any order and under any name. Examples that got a split
earlier keep it; new ones fill the splits up.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

KEY_BYTES = 16
TOTAL_WEIGHT = 4.0  # of the size of a split, against its share of each label
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


class Example(NamedTuple):
    """What decides the split of an example.

    Attributes:
        key: a hash of its content.
        label: its class; "" where it has none.
        ties: examples that share one of these stay in one split.
    """

    key: bytes
    label: str = ""
    ties: tuple[Hashable, ...] = ()


def content_key(content: str) -> bytes:
    """Return the key of a text, or of a hash of a file and the part of it."""
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def components(ties: Iterable[Iterable[Hashable]]) -> list[list[int]]:
    """Return the sets of examples that ties connect, by their indices.

    >>> components([("a",), ("b",), ("a", "c"), ("c",), ()])
    [[0, 2, 3], [1], [4]]
    """
    parents: list[int] = []

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first: dict[Hashable, int] = {}
    for index, own in enumerate(ties):
        parents.append(index)
        for tie in own:
            parents[root(index)] = root(first.setdefault(tie, index))
    found = defaultdict[int, list[int]](list)
    for index in range(len(parents)):
        found[root(index)].append(index)
    return list(found.values())


def assign_splits(
    examples: Sequence[Example], held_out: Sequence[str], earlier: Mapping[bytes, str]
) -> list[str]:
    """Divide examples between "train" and the other splits, a tenth to each of these.

    Every label is in the training split. With three connected sets of examples or more, no split
    is empty, unless a label of a single set would be lost.

    Args:
        examples: those to divide.
        held_out: "validation", "test" or both.
        earlier: key → split of examples that had one before.

    Returns:
        The split of each example.
    """
    shares = {"train": 1 - sum(SHARES[name] for name in held_out)}
    shares |= {name: SHARES[name] for name in held_out}
    found = [earlier.get(example.key, "") for example in examples]
    found = [split if split in shares else "" for split in found]
    balance = _Balance(examples, shares)
    open_sets = list[list[int]]()
    for members in components((each.key, *each.ties) for each in examples):
        before = {found[index] for index in members} - {""}
        if not before:
            open_sets.append(members)
            continue
        # A new example that resembles one of the test split would leak from any other.
        split = next(name for name in ("test", "validation", "train") if name in before)
        for index in members:
            found[index] = found[index] or split
            balance.add(found[index], [index])
    hashes = [min(hashlib.sha256(examples[i].key).digest() for i in each) for each in open_sets]
    order = sorted(range(len(open_sets)), key=lambda index: (-len(open_sets[index]), hashes[index]))
    chosen = {number: balance.add(balance.choose(open_sets[number]), open_sets[number])
              for number in order}  # fmt: skip
    for split in balance.empty():
        for number in reversed(order):
            if chosen[number] == "train" and balance.is_spare(open_sets[number]):
                balance.add("train", open_sets[number], -1)
                chosen[number] = balance.add(split, open_sets[number])
                break
    for number, members in enumerate(open_sets):
        for index in members:
            found[index] = chosen[number]
    return found


class _Balance:
    """How full each split is, in total and of each label."""

    def __init__(self, examples: Sequence[Example], shares: Mapping[str, float]) -> None:
        self._labels = [example.label for example in examples]
        totals = Counter(self._labels)
        # "" stands for all labels.
        totals[""] = len(examples)
        self._wanted = {
            (split, label): max(1.0, share * count)
            for split, share in shares.items()
            for label, count in totals.items()
        }
        self._shares = shares
        self._filled = Counter[tuple[str, str]]()

    def _counts(self, members: Iterable[int]) -> Counter[str]:
        counts = Counter(self._labels[index] for index in members)
        counts[""] = sum(counts.values())
        return counts

    def add(self, split: str, members: Iterable[int], times: int = 1) -> str:
        """Count examples as those of a split, and return it."""
        for label, count in self._counts(members).items():
            self._filled[split, label] += times * count
        return split

    def choose(self, members: Iterable[int]) -> str:
        """Return the split that has the most room left with these examples in it."""
        counts = self._counts(members)
        if not all(self._filled["train", label] for label in counts):
            return "train"

        def room(split: str) -> float:
            filled, wanted = self._filled, self._wanted
            left = {
                label: 1 - (filled[split, label] + count) / wanted[split, label]
                for label, count in counts.items()
            }
            total = left.pop("")
            own = sum(counts[label] * share for label, share in left.items()) / counts[""]
            return TOTAL_WEIGHT * total + own

        return max(self._shares, key=room)

    def is_spare(self, members: Iterable[int]) -> bool:
        """Return whether the training split has all labels without these examples."""
        return all(
            self._filled["train", label] > count for label, count in self._counts(members).items()
        )

    def empty(self) -> Iterator[str]:
        """Yield the splits without an example."""
        yield from (split for split in self._shares if not self._filled[split, ""])
