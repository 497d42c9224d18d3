"""A user's own clips: a folder of them beside `captions.csv`, `labels.csv` or both (.tsv, .jsonl).

The table has a header. One column names the clip (clip, file, video, …), one the caption (or
several: caption_1, caption_2, …) or the label. Optional columns: `split` (train, validation, test);
`start` and `end`, in seconds, where a row annotates a part of the clip; `group`: clips that belong
together (one speaker, one scene) get the same split. Without splits, clips are split 80 : 10 : 10
(see `data.annotations.balance`); the parts of a clip are one group. Without a table, the clips are
in a folder for each class: see `data.annotations.class_folders`. Tables may also be one for each
split: `train.csv`, `val.csv`, `test.csv`; or the clips are in .tar shards or Parquet tables: see
`data.storage.packed`.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from data.annotations.assemble import assemble
from data.annotations.class_folders import read_class_folders
from data.annotations.coco_json import read_coco_json
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.scan import MediaFolder, scan
from data.annotations.source_files import find, find_table, nothing_found
from data.annotations.splits import SPLITS
from data.annotations.tables import (
    CAPTION,
    FILE_NAMES,
    LABEL,
    OTHER_FILE_NAMES,
    SPLIT,
    Column,
    Layout,
    read_rows,
)
from data.media.suffixes import CLIP_SUFFIXES
from data.storage.packed import read_packed

CLIP_FOLDERS = ("clips", "videos")
CLIP_TABLES = tuple(
    f"{name}{suffix}" for name in ("captions", "labels") for suffix in (".csv", ".tsv", ".jsonl")
)
SPLIT_TABLES = tuple(f"{name}{suffix}" for name in SPLITS for suffix in (".csv", ".tsv", ".jsonl"))
CLIPS = Layout(
    {
        "file": Column(
            ("clip", "video", *FILE_NAMES),
            required=True,
            filled=True,
            others=(
                *("clip_file", "video_file", "clip_path", "video_path", "clip_name", "video_name"),
                *("clip_id", "video_id", *OTHER_FILE_NAMES),
            ),
        ),
        "caption": CAPTION,
        "label": LABEL,
        "split": SPLIT,
        "group": Column(("group",)),
        "start": Column(("start", "start_seconds"), others=("start_time", "time_start", "begin")),
        "end": Column(("end", "end_seconds"), others=("end_time", "time_end")),
    },
    any_of=("caption", "label"),
)


def scan_clips(root: Path, folders: Iterable[str] = ("",), *, by_stem: bool = False) -> MediaFolder:
    """List the clips of a folder; `by_stem`: annotations name them without folder and suffix."""
    clips = scan(root, folders)._replace(
        kind="clip", unannotated="without captions or a label", suffixes=CLIP_SUFFIXES
    )
    if not by_stem:
        return clips
    stems: dict[str, str] = {}
    for file in filter(clips.has_suffix, clips.files):
        stems.setdefault(PurePosixPath(file).stem, file)
    return clips._replace(by_stem=stems)


def read_clip_folder(source: Path) -> Annotations:
    """Read a user's own folder of clips."""
    tables = [source / name for name in CLIP_TABLES if (source / name).is_file()]
    tables = tables or [source / name for name in SPLIT_TABLES if (source / name).is_file()]
    if not tables and (other := find_table(source, "caption or label file", CLIP_TABLES)):
        tables = [other]
    folder = find(source, CLIP_FOLDERS, folder=True)
    if not tables and (packed := read_packed(source, CLIPS, scan_clips)):
        return assemble(*packed, held_out=("validation", "test"))
    if not tables and (found_json := read_coco_json(source)):
        return assemble(found_json, scan_clips(folder or source), held_out=("validation", "test"))
    if not tables:
        if folder and not any(path.is_dir() for path in folder.iterdir()):
            raise nothing_found(source, "caption or label file", CLIP_TABLES)
        found = read_class_folders(folder or source, scan_clips, [*CLIP_TABLES, "clips/"])
        return assemble(*found, held_out=("validation", "test"))
    clips = scan_clips(folder or source)
    if not any(map(clips.has_suffix, clips.files)):
        raise nothing_found(source, "clips", [f"{name}/" for name in CLIP_FOLDERS])
    rows = itertools.chain.from_iterable(_table_rows(table, clips) for table in tables)
    return assemble(rows, clips, held_out=("validation", "test"))


def _table_rows(table: Path, clips: MediaFolder) -> Iterator[Row | Problem]:
    """Yield the rows of a table; one that is named after a split gives it to them."""
    split = SPLITS.get(table.stem)
    for row in read_rows(table, CLIPS):
        if isinstance(row, Row) and split:
            own = f"{table.stem}/{row.file}"  # train.csv beside train/
            file = own if own in clips.files else row.file
            row = row._replace(file=file, split=row.split or split)
        yield row


def report_labels_and_groups(annotations: Annotations) -> Annotations:
    """Report suspicious labels and groups."""
    labels = Counter(entry.label for entry in annotations.entries if entry.label)
    learned = {entry.label for entry in annotations.entries if entry.split == "train"}
    splits = defaultdict[str, set[str]](set)
    for entry in annotations.entries:
        splits[entry.group].add(entry.split)
    found = []
    for entry in annotations.entries:
        reasons = []
        if entry.label not in learned and entry.label:
            reasons.append(f"label that no training clip has: {entry.label!r}")
        if labels[entry.label] == 1:
            reasons.append(f"label with one clip: {entry.label!r}")
        if len(splits[entry.group]) > 1:
            names = " and ".join(sorted(splits[entry.group]))
            reasons.append(f"group in two splits: {entry.group!r} is in {names}")
        found += [Problem(entry.file, reason, "", bad=False) for reason in reasons]
    return annotations._replace(problems=(*annotations.problems, *found))
