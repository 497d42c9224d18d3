"""Work items: hashed once, written and read unchanged; duplicates are removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.annotations.entries import Entry, Problem, part_name
from data.annotations.problems import duplicate_problem
from data.sharding import work_items
from data.sharding.work_items import Item
from data.storage import fingerprints

ITEMS = st.builds(
    lambda name, part, split, label, captions, digest: Item(
        Entry(name, part_name(*part), part[0], captions, split, label, "", "", *part[1:]),
        digest,
        None,
    ),
    st.sampled_from("12345678"),
    st.sampled_from(
        [
            ("a.mp4", 0.0, None),
            ("A.mp4", 0.0, None),
            ("b.mp4", 0.0, None),
            ("b.mp4", 1.0, 2.0),
            ("B.mp4", 1.0, 2.0),
        ]
    ),
    st.sampled_from(["train", "validation", "test", "other"]),
    st.sampled_from(["", "x"]),
    st.sampled_from([(), ("a dog",)]),
    st.sampled_from([b"one", b"two", 13, None]),
)


def plainly(some: list[Item]) -> tuple[list[Item], list[Problem]]:
    kept, problems = list[Item](), list[Problem]()
    ids, folded, contents = dict[str, Item](), dict[str, str](), dict[Any, Item]()
    ranks = {"test": 0, "validation": 1}
    for item in sorted(some, key=lambda item: ranks.get(item.entry.split, 2)):
        entry = item.entry
        if (first := ids.setdefault(entry.image_id, item)) is not item:
            reason = f"id given twice: {entry.image_id!r} is {first.entry.file} (kept) as well"
            problems.append(Problem(entry.file, reason, entry.relative_path))
            continue
        if isinstance(item.digest, bytes):
            same = contents.setdefault((item.digest, entry.start, entry.end), item)
            if problem := duplicate_problem(entry, same.entry, "clip"):
                problems.append(problem)
                continue
        if (other := folded.setdefault(entry.file.casefold(), entry.file)) != entry.file:
            reason = f"differs only in case: from {other}"
            problems.append(Problem(entry.file, reason, entry.relative_path, bad=False))
        kept.append(item)
    return kept, problems


@given(st.lists(ITEMS, max_size=12))
def test_duplicates_are_those_that_plain_dictionaries_find(some: list[Item]) -> None:
    assert work_items.remove_duplicates(some, "clip") == plainly(some)


def test_files_are_read_once_and_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, content = list[str](), fingerprints.file_digest

    def counted(path: Path) -> Any:
        read.append(path.name)
        return content(path)

    monkeypatch.setattr(fingerprints, "file_digest", counted)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text(name)
    names = ("a.jpg", "b.jpg", "gone.jpg")
    entries = [Entry(name, name, name, (), "train", root=str(tmp_path)) for name in names]
    first = work_items.hash_files([*entries, Entry("1", "1", "", (), "train")], tmp_path / "known")
    assert sorted(read) == ["a.jpg", "b.jpg", "gone.jpg"]
    assert [item.digest for item in first[2:]] == [2, None]  # no such file; none at all
    (tmp_path / "b.jpg").write_text("changed")
    second = work_items.hash_files(entries, tmp_path / "known")
    assert sorted(read[3:]) == ["b.jpg", "gone.jpg"]
    assert second[0] == first[0] and second[1].digest != first[1].digest
    work_items.write_items(tmp_path / "some.items", "train", [*first, *second])
    assert work_items.read_items(tmp_path / "some.items") == ("train", [*first, *second])
