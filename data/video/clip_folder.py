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

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from data.annotations.assemble import assemble, read_tables
from data.annotations.class_folders import read_class_folders
from data.annotations.coco_json import read_coco_json
from data.annotations.entries import Annotations, Problem
from data.annotations.records import find_tables, suffix_of
from data.annotations.scan import MediaFolder, scan
from data.annotations.source_files import find, nothing_found
from data.annotations.tables import (
    CAPTION,
    FILE_NAMES,
    GROUP,
    LABEL,
    OTHER_FILE_NAMES,
    SPLIT,
    Column,
    Layout,
)
from data.media.suffixes import CLIP_SUFFIXES
from data.storage.packed import read_packed

CLIP_FOLDERS = ("clips", "videos")
CLIP_TABLES = ("captions.csv", "labels.csv")
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
        "group": GROUP,
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
    tables = find_tables(source, "caption or label file", ["captions", "labels"])
    listed = read_coco_json(source) if not tables or suffix_of(tables[0][0]) == ".json" else []
    folder = find(source, CLIP_FOLDERS, folder=True)
    if not tables and (packed := read_packed(source, CLIPS, scan_clips)):
        return assemble(*packed, held_out=("validation", "test"))
    if listed:
        return assemble(listed, scan_clips(folder or source), held_out=("validation", "test"))
    if not tables:
        if folder and not any(path.is_dir() for path in folder.iterdir()):
            raise nothing_found(source, "caption or label file", CLIP_TABLES)
        found = read_class_folders(folder or source, scan_clips, [*CLIP_TABLES, "clips/"])
        return assemble(*found, held_out=("validation", "test"))
    clips = scan_clips(folder or source)
    if not any(map(clips.has_suffix, clips.files)):
        raise nothing_found(source, "clips", [f"{name}/" for name in CLIP_FOLDERS])
    return assemble(read_tables(tables, CLIPS, clips), clips, held_out=("validation", "test"))


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
