"""From the rows of annotation files to the entries of a dataset, for images and clips alike."""

from __future__ import annotations

import difflib
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from data.annotations.entries import Annotations, Entry, Problem, Row, part_name
from data.annotations.scan import MediaFolder
from data.annotations.source_files import HALF_SURROGATE
from data.annotations.splits import missing_splits, not_a_text
from data.annotations.tables import Layout, read_rows
from data.common.errors import UserError
from data.media.words import tokenize

MAX_WORDS = 200
# Suffixes of files that stand beside images and clips.
NOT_MEDIA = frozenset(
    ("", ".align", ".csv", ".gz", ".html", ".json", ".jsonl", ".md", ".parquet", ".tar", ".token",
     ".tsv", ".txt", ".xml", ".yaml", ".yml", ".zip")
)  # fmt: skip
SUGGESTIONS, MANY_FILES = 3, 20_000  # similar names are slow to find


@dataclass(slots=True)
class _Draft:
    """An entry while its rows are read; `file` is its name in the media folder."""

    file: str
    where: str
    image_id: str
    start: float
    end: float | None
    group: str
    split: str | None = None
    label: str = ""
    captions: tuple[str, ...] = ()
    numbers: tuple[str | None, ...] = ()  # of the captions


def read_tables(
    tables: Iterable[tuple[Path, str | None]], layout: Layout, folder: MediaFolder
) -> Iterator[Row | Problem]:
    """Yield the rows of tables (see `find_tables`) about the files of a folder."""
    for table, split in tables:
        # A test table may lack the column of captions or labels: its files are left out.
        own_layout = replace(layout, any_of=()) if split == "test" else layout
        for row in read_rows(table, own_layout):
            if isinstance(row, Row) and split:
                own = f"{table.name.partition('.')[0]}/{row.file}"  # train.csv beside train/
                file = own if own in folder.files else row.file
                row = row._replace(file=file, split=row.split or split)
            yield row


def assemble(
    rows: Iterable[Row | Problem],
    folder: MediaFolder,
    *,
    partial: bool = False,
    held_out: Sequence[str] = (),
) -> Annotations:
    """Match rows with the files of a folder.

    An image stays in the split that its first row with a split names. Where no row names a split,
    `complete_splits` chooses.

    Args:
        rows: in the order of the source; a problem for each line that gives no row.
        folder: the images or clips.
        partial: whether images in no split, and a test split without any file, give one note each
            instead of a problem per image: the folder may hold a part of the corpus.
        held_out: of "validation" and "test", those to choose from the training split if no row
            names them.

    Raises:
        UserError: if there is no caption or label.
    """
    notes = list[str]()
    drafts, found = _group_rows(rows, folder, notes)
    if not any(draft.captions or draft.label for draft in drafts.values()):
        every = f"every {folder.kind} in {folder.root} is {folder.unannotated}"
        if found:
            every = f"{found[0].where}: {found[0].reason}; with {len(found):,} such lines, {every}"
        raise UserError(every)
    declared = any(draft.split for draft in drafts.values())
    used = _select_listed(drafts, folder, notes) if partial and declared else drafts
    kept = []
    hints = SUGGESTIONS if len(folder.files) <= MANY_FILES else 0
    for name, draft in used.items():
        if reason := _entry_problem(draft, folder, declared):
            if reason == "missing" and hints:
                hints -= 1
                reason += _suggestion(draft.file, folder)
            secret = draft.split == "test" and reason == folder.unannotated
            found.append(Problem(name, reason, draft.where, bad=not secret))
        else:
            kept.append(name)
    annotated = {folder.files.get(draft.file) for draft in drafts.values()}
    found += [
        Problem(name, folder.unannotated, folder.root.name)
        for name, path in folder.files.items()
        if path not in annotated and folder.has_suffix(path)
    ]
    found += [
        Problem(name, f"suffix of no {folder.kind}: {suffix}", folder.root.name, bad=False)
        for name, path in folder.files.items()
        if (suffix := os.path.splitext(path)[1].lower()) not in NOT_MEDIA
        and path not in annotated
        and not folder.has_suffix(path)
    ]
    if used and not any(draft.file in folder.files for draft in used.values()):
        names = ", ".join(map(repr, sorted(folder.files)[:3])) + ", …" * (len(folder.files) > 3)
        raise UserError(
            f"none of the {len(used):,} {folder.kind}s listed is in {folder.root}: "
            f"the first is {next(iter(used))!r}, the folder holds {names or 'no files'}"
        )
    named = {used[name].split or "" for name in kept}
    del drafts  # `pop` frees each draft once its entry exists
    entries = tuple(_entry(name, folder, used.pop(name)) for name in kept)
    return Annotations(entries, tuple(found), tuple(notes), missing_splits(named, held_out))


def _entry(name: str, folder: MediaFolder, draft: _Draft) -> Entry:
    return Entry(
        draft.image_id,
        name,
        folder.files[draft.file],
        draft.captions,
        draft.split or "",
        draft.label,
        draft.group,
        str(folder.root),
        draft.start,
        draft.end,
        (folder.places or {}).get(draft.file, ""),
    )


def _group_rows(
    rows: Iterable[Row | Problem], folder: MediaFolder, notes: list[str]
) -> tuple[dict[str, _Draft], list[Problem]]:
    """Group the rows by image or part of a clip, and leave out unusable captions."""
    drafts, read, problems = dict[str, _Draft](), list[Problem](), list[Problem]()
    renamed = list[str]()
    for row in rows:
        if isinstance(row, Problem):
            read.append(row)
            continue
        file = folder.name_of(row.file)
        name = part_name(file, row.start, row.end)
        if (draft := drafts.get(name)) is None:
            # Parts of a clip are one group.
            group = sys.intern(row.group or "") or row.image_id or file
            draft = _Draft(file, row.where, row.image_id or name, row.start, row.end, group)
            drafts[name] = draft
            known = PurePosixPath(file).name in unicodedata.normalize("NFC", row.file)
            if folder.by_stem is None and not known and file in folder.files:
                renamed.append(f"{row.where}: {row.file!r} is {file}")
        label = sys.intern(one_line(row.label or ""))
        problems += _row_conflicts(name, draft, row, label)
        draft.split, draft.label = draft.split or row.split, draft.label or label
        if row.caption is None:
            continue
        caption = " ".join(unicodedata.normalize("NFC", row.caption).split())
        if reason := _caption_problem(caption, row.number, draft):
            problems.append(Problem(name, reason, row.where, bad=False))
        else:
            draft.captions += (caption,)
            draft.numbers += (row.number,)
    if renamed:
        notes.append(f"{len(renamed):,} {folder.kind}s found under another name: {renamed[0]}")
    return drafts, [*read, *problems]


def _row_conflicts(name: str, draft: _Draft, row: Row, label: str) -> Iterator[Problem]:
    """Yield the conflicts of a row with earlier rows of the same entry."""
    if draft.split and row.split not in (None, draft.split):
        yield Problem(name, f"in two splits: {draft.split} (kept) and {row.split}", row.where)
    if draft.label and label and label != draft.label:
        yield Problem(name, f"two labels: {draft.label!r} (kept) and {label!r}", row.where)
    elif label and label == draft.label and row.caption is None:
        yield Problem(name, "listed twice", row.where, bad=False)


def one_line(label: str) -> str:
    """Collapse white space, so that a label fits on one line."""
    return " ".join(label.split())


def _caption_problem(caption: str, number: str | None, draft: _Draft) -> str:
    """Return why a caption cannot be used; "" where it can."""
    if HALF_SURROGATE.search(caption):
        return "caption is not Unicode: half a surrogate pair"
    # Cheap checks first: a corpus has hundreds of thousands of captions.
    if not any(map(str.isalnum, caption)) and not tokenize(caption):
        return "caption without words"
    if reason := not_a_text(caption):
        return reason
    if len(caption) > MAX_WORDS and (words := len(tokenize(caption))) > MAX_WORDS:
        return f"caption too long: {words} words, at most {MAX_WORDS}"
    if caption not in draft.captions:
        return ""
    pairs = zip(draft.captions, draft.numbers, strict=True)
    return "caption given twice" if (caption, number) in pairs else ""


def _select_listed(
    drafts: dict[str, _Draft], folder: MediaFolder, notes: list[str]
) -> dict[str, _Draft]:
    """Return the entries that are in a split list; no test split if none of its files is there."""
    listed = {name: draft for name, draft in drafts.items() if draft.split}
    if others := len(drafts) - len(listed):
        notes.append(f"{others:,} {folder.kind}s are in no split list: left out")
    test = {name: draft for name, draft in listed.items() if draft.split == "test"}
    if test and not any(draft.file in folder.files for draft in test.values()):
        notes.append(f"none of the {len(test):,} test {folder.kind}s is here: no test split")
        listed = {name: draft for name, draft in listed.items() if name not in test}
    return listed


def _suggestion(file: str, folder: MediaFolder) -> str:
    """Return a hint at a file with a similar name; "" if there is none."""
    stems = {PurePosixPath(name).stem: name for name in folder.files}
    near = difflib.get_close_matches(PurePosixPath(file).stem, stems, n=1, cutoff=0.8)
    return f": did you mean {stems[near[0]]!r}?" if near else ""


def _entry_problem(draft: _Draft, folder: MediaFolder, declared: bool) -> str:
    """Return why an entry cannot be used; "" where it can."""
    if draft.file not in folder.files:
        path = PurePosixPath(draft.file)
        if path.is_absolute() or ".." in path.parts or draft.file.partition("/")[0].endswith(":"):
            return f"outside {folder.root.name}: name {folder.kind}s relative to it"
        return "missing"
    if not draft.captions and not draft.label:
        return folder.unannotated
    return "" if draft.split or not declared else "without a split, which others have"
