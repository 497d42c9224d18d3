"""Readers of clips in the layouts that their distributors ship.

Each takes the folder that the user names and returns a `Listing`; what is not there is an error
that says what was looked for and what was found. Many of these sets were lists of links: a copy
rarely has all the clips, and every missing one is named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data.annotations.entries import Listing, Problem, Row
from data.annotations.splits import SPLITS
from data.annotations.tables import find, lines, nothing_found, read_csv, read_json
from data.common.errors import UserError
from data.video.clip_folder import Clips, list_clips, read_clip_table

VATEX_FILES: dict[str | None, tuple[str, ...]] = {
    "train": ("vatex_training_v1.0.json",),
    "validation": ("vatex_validation_v1.0.json",),
    "test": ("vatex_public_test_english_v1.1.json", "vatex_test_v1.0.json"),
    None: ("vatex_private_test_without_annotations.json",),  # in no split, for good reason
}
MSRVTT_FILES = (
    ("videodatainfo.json",),
    ("train_val_videodatainfo.json", "test_videodatainfo.json"),
    ("MSRVTT_data.json",),
)


def read_grid(source: Path) -> Listing:
    """Read GRID (Cooke et al. 2006): `videos/` and `sentences.csv` (id, split, sentence).

    A clip's caption is its sentence, its label the sentence's verb: bin, lay, place or set.
    """
    table = find(source, ["sentences.csv"])
    if table is None:
        raise nothing_found(source, "sentence file of GRID", ["sentences.csv"])
    clips = _clips(source, ["videos"])
    rows, problems = read_clip_table(table, clips, by_stem=True)
    rows = [row._replace(label=(row.caption or "").split(" ")[0] or None) for row in rows]
    return list_clips(rows, clips, problems)


def read_fight_surveillance(source: Path) -> Listing:
    """Read surveillance fights (Aktı, Tataroğlu & Ekenel 2019): `clips.csv` (file, label, group).

    Clips of one group share a scene, so that no group is in two splits.
    """
    table = find(source, ["clips.csv"])
    if table is None:
        raise nothing_found(source, "clip list", ["clips.csv"])
    clips = Clips(table.parent)
    rows, problems = read_clip_table(table, clips)
    return list_clips(rows, clips, problems)


def read_ucf101(source: Path, fold: int = 1) -> Listing:
    """Read UCF101 (Soomro, Zamir & Shah 2012): `UCF-101/` and `trainlist01.txt`, `testlist01.txt`.

    The official lists have no validation split: a tenth of the training groups becomes one. The
    clips of a group come from one video.

    Args:
        source: the folder.
        fold: which of the three official splits.
    """
    clips = _clips(source, ["UCF-101", "UCF101", "videos"])
    rows = list[Row]()
    for split in ("train", "test"):
        name = f"{split}list{fold:02d}.txt"
        path = find(source, [name])
        if path is None:
            raise nothing_found(source, "split list of UCF101", [name])
        for number, line in lines(path):
            match = re.fullmatch(r"\s*(\S+)/v_(\w+)_g(\d+)_c\d+\.avi(?:\s+\d+)?\s*", line)
            if not match:
                raise UserError(f"{path}, line {number}: not 'Class/v_Class_g01_c01.avi': {line!r}")
            file = clips.named(Path(line.split()[0]).stem)
            group = f"{match[1]} {match[3]}"
            where = f"{path.name}:{number}"
            rows.append(Row(file, None, split, where, label=match[1], group=group))
    return list_clips(_with_validation(rows), clips, partial=True)


def read_hmdb51(source: Path, fold: int = 1) -> Listing:
    """Read HMDB51 (Kuehne et al. 2011): a folder a class and `<class>_test_split1.txt`.

    A list marks a clip 1 (train), 2 (test) or 0 (neither). A tenth of the training videos becomes
    the validation split; the clips of a video share the beginning of their names.

    Args:
        source: the folder.
        fold: which of the three official splits.
    """
    pattern = f"*_test_split{fold}.txt"
    lists = sorted({*source.glob(pattern), *source.glob(f"*/{pattern}")})
    if not lists:
        raise nothing_found(source, "split lists of HMDB51", [pattern])
    clips = _clips(source, ["hmdb51_org", "hmdb51", "videos"], root=True)
    rows = list[Row]()
    for path in lists:
        label = path.name.removesuffix(pattern[1:])
        for number, line in lines(path):
            match = re.fullmatch(r"\s*(\S.*\S)\.avi\s+([012])\s*", line)
            if not match:
                raise UserError(f"{path}, line {number}: not 'clip.avi 0', 1 or 2: {line!r:.80}")
            split = {"1": "train", "2": "test"}.get(match[2])
            group = match[1].partition(f"_{label}_")[0]
            where = f"{path.name}:{number}"
            file = clips.named(match[1])
            rows.append(Row(file, None, split, where, label=label, group=group))
    return list_clips(_with_validation(rows), clips, partial=True)


def read_msrvtt(source: Path) -> Listing:
    """Read MSR-VTT (Xu et al. 2016): `videodatainfo.json`, whole or one of train/val and test."""
    found = next((f for names in MSRVTT_FILES if (f := _all(source, names))), None)
    if found is None:
        raise nothing_found(
            source, "caption file of MSR-VTT", [n for names in MSRVTT_FILES for n in names]
        )
    clips = _clips(source, ["videos", "TrainValVideo", "TestVideo", "all"], root=True)
    return list_clips(
        [row for path in found for row in _msrvtt_rows(path, clips)], clips, partial=True
    )


def _msrvtt_rows(path: Path, clips: Clips) -> Iterator[Row]:
    content = read_json(path)
    try:
        for video in content["videos"]:
            name = video["video_id"]
            split = SPLITS.get(str(video["split"]).lower())
            yield Row(clips.named(name), None, split, path.name, name, group=_origin(video))
        for sentence in content["sentences"]:
            name, number = sentence["video_id"], str(sentence.get("sen_id"))
            yield Row(clips.named(name), sentence["caption"], None, path.name, name, number=number)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not MSR-VTT's layout: {error!r}") from None


def _origin(video: dict[str, Any]) -> str:
    """Return the video that a clip was cut from: its address where it is known."""
    return str(video.get("url") or video["video_id"])


def read_msvd(source: Path) -> Listing:
    """Read MSVD (Chen & Dolan 2011): clips named `<video>_<start>_<end>` and their descriptions.

    Descriptions from `AllVideoDescriptions.txt`, or from the original CSV, English only. With
    `youtube_mapping.txt` the usual 1,200 : 100 : 670 by its order (Venugopalan et al. 2015); else
    split by a hash of the videos.
    """
    names = ("AllVideoDescriptions.txt", "MSR Video Description Corpus.csv")
    path = find(source, [*names, "video_corpus.csv"])
    if path is None:
        raise nothing_found(source, "descriptions of MSVD", names)
    clips = _clips(source, ["YouTubeClips", "videos", "clips"])
    pairs = _msvd_csv(path) if path.suffix == ".csv" else _msvd_text(path)
    splits = dict[str, str]()
    if mapping := find(source, ["youtube_mapping.txt"]):
        for place, (_, line) in enumerate(lines(mapping)):
            split = "train" if place < 1200 else "validation" if place < 1300 else "test"
            splits[line.split()[0]] = split
    rows = [
        Row(clips.named(name), text, splits.get(name), where, name, group=name.rsplit("_", 2)[0])
        for where, name, text in pairs
    ]
    return list_clips(rows, clips, partial=True)


def _msvd_text(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, line in lines(path):
        name, _, text = line.strip().partition(" ")
        if not name.startswith("#"):
            yield f"{path.name}:{number}", name, text


def _msvd_csv(path: Path) -> Iterator[tuple[str, str, str]]:
    table = read_csv(path)
    wanted = ("VideoID", "Start", "End", "Language", "Description")
    if missing := [name for name in wanted if name not in table.header]:
        raise UserError(
            f"{path}: no column {missing[0]!r} in its first line: {table.header!r:.200}"
        )
    places = [table.header.index(name) for name in wanted]
    for where, cells in table.rows:
        video, start, end, language, text = (cells[at] if at < len(cells) else "" for at in places)
        if language.lower() == "english" and text.strip():
            yield where, f"{video}_{start}_{end}", text


def read_vatex(source: Path) -> Listing:
    """Read VATEX (Wang et al. 2019): `vatex_training_v1.0.json` and its siblings; English captions.

    Clips are named by their `videoID`: eleven letters, the start and the end in the video.
    """
    clips = _clips(source, ["videos", "clips", "vatex"])
    rows = list[Row]()
    for split, names in VATEX_FILES.items():
        path = find(source, names)
        if path is None:
            if split in ("test", None):
                continue
            raise nothing_found(source, f"{split} file of VATEX", names)
        try:
            for video in read_json(path):
                name = video["videoID"]
                rows += [
                    Row(clips.named(name), text, split, path.name, name, str(at), group=name[:11])
                    for at, text in enumerate(video["enCap"] if split else [None])
                ]
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: not VATEX's layout: {error!r}") from None
    return list_clips(rows, clips, partial=True)


def read_kinetics(source: Path) -> Listing:
    """Read Kinetics (Kay et al. 2017): CSVs of label, youtube_id, time_start, time_end, split.

    Clips are named `<youtube_id>_<start>_<end>` with six digits each, or by the id alone. The
    CSV of the test split may be without labels: its clips are left out.
    """
    names = [f"*{split}*.csv" for split in ("train", "val", "test")]
    tables = [
        path for name in names for each in (name, f"*/{name}") for path in sorted(source.glob(each))
    ]
    if not tables:
        raise nothing_found(source, "clip lists of Kinetics", names)
    clips = Clips(source)
    rows, problems = list[Row](), list[Problem]()
    for path in dict.fromkeys(tables):
        table = read_csv(path)
        wanted = ("youtube_id", "time_start", "time_end", "split", "label")
        missing = [name for name in wanted if name not in table.header]
        if missing and missing != ["label"]:
            raise UserError(f"{path}: no column {missing[0]!r} in its first line: {table.header}")
        for where, cells in table.rows:
            row = dict(zip(table.header, cells, strict=False))
            try:
                name = (
                    f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
                )
                split = None if missing else SPLITS[row["split"].lower()]
            except (KeyError, ValueError) as error:
                problems.append(Problem(where, f"not a row of Kinetics: {error!r}", where))
                continue
            video = row["youtube_id"]
            file = clips.named(name)
            if file not in clips.pictures.files and clips.named(video) in clips.pictures.files:
                file = clips.named(video)
            rows.append(Row(file, None, split, where, name, label=row.get("label"), group=video))
    return list_clips(rows, clips, problems, partial=True)


def _clips(source: Path, names: Sequence[str], *, root: bool = False) -> Clips:
    """Return the clips of the first of these folders, or of the source where there is none."""
    folders = [folder for name in names if (folder := find(source, [name], folder=True))]
    if len(folders) > 1 or (root and not folders):
        return Clips(source)
    if not folders:
        raise nothing_found(source, "clip folder", [f"{name}/" for name in names])
    return Clips(folders[0])


def _all(source: Path, names: Sequence[str]) -> list[Path]:
    found = [path for name in names if (path := find(source, [name]))]
    return found if len(found) == len(names) else []


def _with_validation(rows: Iterable[Row]) -> list[Row]:
    """Move a tenth of the training groups to validation, by a hash of their names."""

    def chosen(group: str) -> bool:
        return hashlib.sha256(group.encode()).digest()[0] < 26

    return [
        row._replace(split="validation")
        if row.split == "train" and chosen(row.group or "")
        else row
        for row in rows
    ]
