"""Splits: their names, and how examples are assigned to them."""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from data.annotations.balance import KEY_BYTES, SHARES, Example, assign_splits, content_key
from data.annotations.entries import Annotations, Entry, Problem, Row
from data.annotations.source_files import HALF_SURROGATE
from data.common.errors import UserError
from data.common.files import atomic_write
from data.media.words import is_blank, tokenize

# What distributors and users call the three splits.
SPLITS: Mapping[str, str] = {
    "train": "train", "training": "train", "restval": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "validate": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
FOLDS = 5
FEW = 20  # training examples of a source with splits, of which none becomes a test split
# What programs write into cells without a value; a list as Python prints it.
_NO_TEXT = {"nan", "null", "none", "<na>", "#n/a", "n/a", "#name?", "#value!", "#ref!"}
_WRITTEN_LIST = re.compile(r"""\s*\[\s*(['"]).*\1\s*\]\s*""", re.DOTALL)
_PLAIN = str.maketrans(dict.fromkeys("‘’ʼ‛`´", "'") | dict.fromkeys("‐‑–", "-"))
_BINS = 2 * FOLDS


def complete_splits(
    annotations: Annotations, examples: Sequence[Example], kind: str, memory: Path | None
) -> Annotations:
    """Choose the splits that a source does not name: see `assign_splits`.

    Args:
        annotations: `missing` names the splits to choose; entries without a split, or in "train",
            are divided.
        examples: of the entries, in their order.
        kind: the noun for an example in notes: "image".
        memory: a file with the splits that were chosen before; it is updated. None: there are none.
    """
    if not annotations.missing:
        return annotations
    pool = [i for i, entry in enumerate(annotations.entries) if entry.split in ("", "train")]
    earlier = _read_memory(memory)
    divided = [examples[index] for index in pool]
    held_out = [name for name in annotations.missing if name != "train"]
    if "train" not in annotations.missing and len(pool) < FEW:
        held_out = [name for name in held_out if name != "test"]
        if not held_out:
            return annotations._replace(missing=())
    chosen = assign_splits(divided, held_out, earlier)
    known = earlier | {each.key: split for each, split in zip(divided, chosen, strict=True)}
    if memory and known != earlier:
        order = tuple(SHARES)
        with atomic_write(memory, "wb") as file:
            file.writelines(key + bytes([order.index(split)]) for key, split in known.items())
    entries = list(annotations.entries)
    for index, split in zip(pool, chosen, strict=True):
        entries[index] = entries[index]._replace(split=split)
    if "train" in annotations.missing:
        note = "no splits given: 80 % train, 10 % validation, 10 % test, by content"
    else:
        count = sum(split in held_out for split in chosen)
        names = " and ".join(held_out)
        note = f"no {names} split given: {count:,} of the training {kind}s, by content"
    return annotations._replace(
        entries=tuple(entries), notes=(*annotations.notes, note), missing=()
    )


def _read_memory(path: Path | None) -> dict[bytes, str]:
    """Return what `complete_splits` has written: key → split."""
    data, size = path.read_bytes() if path and path.exists() else b"", KEY_BYTES + 1
    names = tuple(SHARES)
    records = (data[start : start + size] for start in range(0, len(data), size))
    return {record[:-1]: names[record[-1]] for record in records}


def missing_splits(named: Iterable[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the splits to choose, given those that a source names.

    >>> missing_splits([], []), missing_splits(["train", "test"], ["validation", "test"])
    (('train', 'validation', 'test'), ('validation',))
    """
    found = set(named) - {""}
    return tuple(name for name in wanted if name not in found) if found else tuple(SHARES)


def split_of_path(path: str) -> str | None:
    """Return the split that is a word of a file's name, or of its folder's; None if none is.

    >>> split_of_path("data/train-00000-of-00002.parquet"), split_of_path("val/cc3m.tar")
    ('train', 'validation')
    """
    for part in reversed(PurePosixPath(path).parts):
        words = re.split(r"[\W\d_]+", part.lower())
        if found := [SPLITS[word] for word in words if word in SPLITS]:
            return found[-1]
    return None


def text_key(text: str) -> str:
    """Return what two texts have in common that a model cannot tell apart, or hardly.

    Case, white space, punctuation marks, normal forms and the width of letters do not count.

    >>> text_key("It’s a ﬁsh .") == text_key("it's a fish")
    True
    """
    plain = unicodedata.normalize("NFKC", text.translate(_PLAIN))
    return " ".join(tokenize(plain)) or " ".join(plain.split())


def text_examples(entries: Iterable[Entry]) -> list[Example]:
    """Return what decides the splits of texts: their words."""
    return [
        Example(
            content_key(text_key(entry.captions[0])),
            entry.label,
            (entry.group,) * bool(entry.group),
        )
        for entry in entries
    ]


def usable_texts(texts: Iterable[Entry | Problem], wanted: Sequence[str]) -> Annotations:
    """Leave out the texts that cannot be used; `wanted` are splits to choose if none is named."""
    kept, problems = list[Entry](), list[Problem]()
    for entry in texts:
        if isinstance(entry, Problem):
            problems.append(entry)
        elif reason := _text_problem(entry):
            problems.append(Problem(entry.file, reason, entry.file.partition(":")[0]))
        else:
            kept.append(entry)
    missing = missing_splits({entry.split for entry in kept}, wanted)
    return Annotations(tuple(kept), tuple(problems), (), missing)


def order_texts(annotations: Annotations) -> Annotations:
    """Order texts by split and content; leave out training texts that another split has as well."""
    entries = annotations.entries
    digests = [_digest(text_key(entry.captions[0])) for entry in entries]
    pairs = zip(digests, entries, strict=True)
    held_out = {digest: entry.file for digest, entry in pairs if entry.split != "train"}
    splits: dict[str, list[Entry]] = {"train": [], "validation": [], "test": []}
    problems = list(annotations.problems)
    for index in sorted(range(len(entries)), key=digests.__getitem__):
        entry = entries[index]
        if entry.split == "train" and (other := held_out.get(digests[index])):
            reason = f"in two splits: the same text as {other}, which is kept"
            where = entry.file.partition(":")[0]
            problems.append(Problem(entry.file, reason, where, bad=False))
        else:
            splits[entry.split or "train"].append(entry)
    ordered = itertools.chain.from_iterable(splits.values())
    return annotations._replace(entries=tuple(ordered), problems=tuple(problems))


def _text_problem(entry: Entry) -> str:
    """Return why a text cannot be used; "" if it can."""
    if any(map(HALF_SURROGATE.search, entry.captions)):
        return "text is not Unicode: half a surrogate pair"
    for name, text in zip(("text", "translation"), entry.captions, strict=False):
        if is_blank(text):
            return f"empty {name}"
        if reason := not_a_text(text):
            return reason
    return ""


def not_a_text(text: str) -> str:
    """Return why a cell is no text that somebody wrote; "" if it may be one.

    >>> not_a_text("NaN"), not_a_text("a dog")
    ("no text: 'NaN'", '')
    """
    if text.strip().lower() in _NO_TEXT:
        return f"no text: {text.strip()!r}"
    if _WRITTEN_LIST.fullmatch(text):
        return f"a list written as text: {text.strip()!r:.60}"
    return ""


def hold_out_groups(rows: Iterable[Row]) -> list[Row]:
    """Move about a tenth of the training examples of each label to validation, by groups.

    A label with several groups keeps one or more in training and has one or more in validation,
    unless labels share all their groups. Nothing moves if there is a validation split.
    """
    rows = list(rows)
    if any(row.split == "validation" for row in rows):
        return rows
    labels = defaultdict[str, set[str]](set)  # of each group
    sizes = defaultdict[str, Counter[str]](Counter)  # label → group → training examples
    for row in rows:
        if row.split == "train":
            label, group = row.label or "", row.group or ""
            labels[group].add(label)
            sizes[label][group] += 1
    held = set[str]()
    for groups in sizes.values():
        # Groups of one label first: the others change the share of several.
        order = sorted(groups, key=lambda group: (len(labels[group]), _digest(group)))
        wanted, count = groups.total() / 10, sum(groups[group] for group in held & set(order))
        for group in order:
            if group not in held and count + groups[group] / 2 <= wanted:
                held.add(group)
                count += groups[group]
        if not count and len(order) > 1:
            held.add(min(order, key=groups.__getitem__))
    return [
        row._replace(split="validation") if row.split == "train" and row.group in held else row
        for row in rows
    ]


def assign_fold(annotations: Annotations, fold: int) -> Annotations:
    """Split for cross-validation: a fifth of the groups for test, a tenth for validation.

    Groups go, largest first, to the bin with the fewest entries. The bins do not depend on the
    fold, so that each entry is in the test split of exactly one of the five folds.

    Raises:
        UserError: if there is no such fold (1 to 5), or there are too few groups.
    """
    if not 1 <= fold <= FOLDS:
        raise UserError(f"--fold is 1 to {FOLDS}, not {fold}")
    sizes = Counter(entry.group for entry in annotations.entries)
    if len(sizes) < _BINS:
        raise UserError(f"{FOLDS} folds need at least {_BINS} groups of clips, not {len(sizes)}")
    filled, bins = [0] * _BINS, dict[str, int]()
    for group in sorted(sizes, key=lambda name: (-sizes[name], _digest(name))):
        bins[group] = filled.index(min(filled))
        filled[bins[group]] += sizes[group]
    splits = ["train"] * _BINS
    first = 2 * (fold - 1)
    splits[first : first + 2] = ["test", "test"]
    splits[(first + 2) % _BINS] = "validation"
    entries = tuple(
        entry._replace(split=splits[bins[entry.group]]) for entry in annotations.entries
    )
    note = f"fold {fold} of {FOLDS}: split by {len(sizes):,} groups"
    return annotations._replace(entries=entries, notes=(note,), missing=())


def check_train_and_validation(annotations: Annotations, kind: str) -> None:
    """Check that there is something to train on and to validate with.

    Raises:
        UserError: if the training or the validation split is empty.
    """
    entries, problems = annotations.entries, annotations.problems
    counts = Counter(entry.split for entry in entries)
    if counts["train"] and counts["validation"]:
        return
    first = ""
    if problems:
        first = f". The first of {len(problems)} problems: {problems[0].file}: {problems[0].reason}"
    if len(entries) < 2:
        raise UserError(
            f"{len(entries)} usable {kind}(s): at least two are needed, one to train on and one to "
            f"validate with{first}"
        )
    empty = "validation" if counts["train"] else "train"
    raise UserError(
        f"no usable {kind} in the {empty} split (there are {dict(counts)}): name it in the "
        f"split lists or the split column{first}"
    )


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def parse_slice(text: str, total: int) -> slice | None:
    """Return the range that a TFDS slice takes of `total` examples; None if it is malformed.

    >>> parse_slice("[-3:95%]", 200), parse_slice("", 200), parse_slice("[5]", 200)
    (slice(-3, 190, None), slice(None, None, None), None)
    """
    match = re.fullmatch(r"(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?", text)
    if match is None:
        return None

    def bound(given: str | None) -> int | None:
        if given is None:
            return None
        return round(int(given[:-1]) * total / 100) if given.endswith("%") else int(given)

    return slice(bound(match[1]), bound(match[2]))


def whole_split(split: str) -> str:
    """Return the split that a TFDS slice is cut from: "train" of "train[:95%]"."""
    return re.split(r"[\[+]", split, maxsplit=1)[0]
