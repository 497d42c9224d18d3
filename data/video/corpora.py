"""Readers of corpora of clips in the layouts of their distributors.

Many corpora are distributed as links: a copy rarely has all clips; each missing one is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data.annotations.entries import Annotations, Problem, Row
from data.annotations.scan import MediaFolder
from data.annotations.source_files import (
    find,
    matching_lines,
    nothing_found,
    read_json,
    read_lines,
    require,
)
from data.annotations.splits import SPLITS, hold_out_groups
from data.annotations.tables import SPLIT, Column, Layout, read_rows, read_table, require_rows
from data.common.errors import UserError
from data.video.clip_folder import CLIPS, assemble_clips, scan_clips

VATEX_FILES: dict[str | None, tuple[str, ...]] = {
    "train": ("vatex_training_v1.0.json",),
    "validation": ("vatex_validation_v1.0.json",),
    "test": ("vatex_public_test_english_v1.1.json", "vatex_test_v1.0.json"),
    None: ("vatex_private_test_without_annotations.json",),  # their captions are secret
}
MSRVTT_FILES = (
    ("videodatainfo.json",),
    ("train_val_videodatainfo.json", "test_videodatainfo.json"),
    ("MSRVTT_data.json",),
)
KINETICS = Layout(
    {
        **{
            name: Column((name,), required=True, filled=True)
            for name in ("youtube_id", "time_start", "time_end")
        },
        "split": replace(SPLIT, required=True),
        "label": Column(("label",)),
    },
    ragged=True,
)
MSVD = Layout(
    {
        name: Column((name,), required=True)
        for name in ("videoid", "start", "end", "language", "description")
    },
    ragged=True,
)


def read_grid(source: Path) -> Annotations:
    """Read GRID (Cooke et al. 2006): `videos/` and `sentences.csv` (id, split, sentence).

    A clip's caption is its sentence, its label the sentence's verb: bin, lay, place or set.
    """
    table = require(source, "sentence file of GRID", ["sentences.csv"])
    rows = (
        row
        if isinstance(row, Problem)
        else row._replace(label=(row.caption or "").split(" ")[0] or None)
        for row in read_rows(table, CLIPS)
    )
    return assemble_clips(rows, _clips(source, ["videos"]))


def read_fight_surveillance(source: Path) -> Annotations:
    """Read surveillance fights (Aktı, Tataroğlu & Ekenel 2019): `clips.csv` (file, label, group).

    Clips of one group share a scene.
    """
    table = require(source, "clip list", ["clips.csv"])
    return assemble_clips(read_rows(table, CLIPS), scan_clips(table.parent))


def read_ucf101(source: Path, fold: int = 1) -> Annotations:
    """Read UCF101 (Soomro, Zamir & Shah 2012): `UCF-101/` and `trainlist01.txt`, `testlist01.txt`.

    The official lists have no validation split: a tenth of the training groups becomes one. The
    clips of a group come from one video. `fold` is one of the three official splits.
    """
    clips = _clips(source, ["UCF-101", "UCF101", "videos"])
    rows = list[Row]()
    pattern = r"\s*(\S+)/(v_\w+_g(\d+)_c\d+)\.avi(?:\s+\d+)?\s*"
    for split in ("train", "test"):
        path = require(source, "split list of UCF101", [f"{split}list{fold:02d}.txt"])
        for where, match in matching_lines(path, pattern, "Class/v_Class_g01_c01.avi"):
            label, name, number = match.groups()
            rows.append(Row(name, None, split, where, label=label, group=f"{label} {number}"))
    return assemble_clips(hold_out_groups(rows), clips, partial=True)


def read_hmdb51(source: Path, fold: int = 1) -> Annotations:
    """Read HMDB51 (Kuehne et al. 2011): a folder a class and `<class>_test_split1.txt`.

    A list marks a clip 1 (train), 2 (test) or 0 (neither). A tenth of the training videos becomes
    the validation split; the clips of a video share the beginning of their names. `fold` is one of
    the three official splits.
    """
    pattern = f"*_test_split{fold}.txt"
    lists = sorted({*source.glob(pattern), *source.glob(f"*/{pattern}")})
    if not lists:
        raise nothing_found(source, "split lists of HMDB51", [pattern])
    clips = _clips(source, ["hmdb51_org", "hmdb51", "videos"], root=True)
    rows = list[Row]()
    for path in lists:
        label = path.name.removesuffix(pattern[1:])
        for where, match in matching_lines(path, r"\s*(\S.*\S)\.avi\s+([012])\s*", "clip.avi 0"):
            split = {"1": "train", "2": "test"}.get(match[2])
            group = match[1].partition(f"_{label}_")[0]
            rows.append(Row(match[1], None, split, where, label=label, group=group))
    return assemble_clips(hold_out_groups(rows), clips, partial=True)


def read_msrvtt(source: Path) -> Annotations:
    """Read MSR-VTT (Xu et al. 2016): `videodatainfo.json`, whole or one of train/val and test."""
    candidates = [[find(source, [name]) for name in names] for names in MSRVTT_FILES]
    found = next((paths for paths in candidates if all(paths)), None)
    if found is None:
        raise nothing_found(
            source, "caption file of MSR-VTT", [n for names in MSRVTT_FILES for n in names]
        )
    clips = _clips(source, ["videos", "TrainValVideo", "TestVideo", "all"], root=True)
    rows = (row for path in found if path for row in _msrvtt_rows(path))
    return assemble_clips(rows, clips, partial=True)


def _msrvtt_rows(path: Path) -> Iterator[Row]:
    content = read_json(path)
    try:
        for video in content["videos"]:
            name = video["video_id"]
            split = SPLITS.get(str(video["split"]).lower())
            source = str(video.get("url") or name)  # the video that the clip was cut from
            yield Row(name, None, split, path.name, name, group=source)
        for sentence in content["sentences"]:
            name, number = sentence["video_id"], str(sentence.get("sen_id"))
            yield Row(name, sentence["caption"], None, path.name, name, number=number)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not MSR-VTT's layout: {error!r}") from None


def read_msvd(source: Path) -> Annotations:
    """Read MSVD (Chen & Dolan 2011): clips named `<video>_<start>_<end>` and their descriptions.

    Descriptions from `AllVideoDescriptions.txt`, or from the original CSV, English only. With
    `youtube_mapping.txt` the usual 1,200 : 100 : 670 by its order (Venugopalan et al. 2015); else
    split by a hash of the videos.
    """
    names = ("AllVideoDescriptions.txt", "MSR Video Description Corpus.csv")
    path = require(source, "descriptions of MSVD", [*names, "video_corpus.csv"])
    clips = _clips(source, ["YouTubeClips", "videos", "clips"])
    pairs = _msvd_csv(path) if path.suffix == ".csv" else _msvd_text(path)
    splits = dict[str, str]()
    if mapping := find(source, ["youtube_mapping.txt"]):
        for number, (_, line) in enumerate(read_lines(mapping)):
            split = "train" if number < 1200 else "validation" if number < 1300 else "test"
            splits[line.split()[0]] = split
    rows = [
        Row(name, text, splits.get(name), where, name, group=name.rsplit("_", 2)[0])
        for where, name, text in pairs
    ]
    return assemble_clips(rows, clips, partial=True)


def _msvd_text(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, line in read_lines(path):
        name, _, text = line.strip().partition(" ")
        if not name.startswith("#"):
            yield f"{path.name}:{number}", name, text


def _msvd_csv(path: Path) -> Iterator[tuple[str, str, str]]:
    for row in require_rows(path, MSVD):
        if row.get("language").lower() == "english" and row.get("description"):
            name = f"{row.get('videoid')}_{row.get('start')}_{row.get('end')}"
            yield row.where, name, row.get("description")


def read_vatex(source: Path) -> Annotations:
    """Read VATEX (Wang et al. 2019): `vatex_training_v1.0.json` and its siblings; English captions.

    Clips are named by their `videoID`: eleven letters, the start and the end in the video.
    """
    clips = _clips(source, ["videos", "clips", "vatex"])
    rows = list[Row]()
    for split, names in VATEX_FILES.items():
        if split in ("test", None) and find(source, names) is None:
            continue
        path = require(source, f"{split} file of VATEX", names)
        try:
            for video in read_json(path):
                name = video["videoID"]
                rows += [
                    Row(name, text, split, path.name, name, str(at), group=name[:11])
                    for at, text in enumerate(video["enCap"] if split else [None])
                ]
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: not VATEX's layout: {error!r}") from None
    return assemble_clips(rows, clips, partial=True)


def read_kinetics(source: Path) -> Annotations:
    """Read Kinetics (Kay et al. 2017): CSVs of label, youtube_id, time_start, time_end, split.

    Clips are named `<youtube_id>_<start>_<end>` with six digits each, or by the id alone. Clips
    without a label, as in some CSVs of the test split, are left out.
    """
    names = [f"*{split}*.csv" for split in ("train", "val", "test")]
    tables = [
        path for name in names for each in (name, f"*/{name}") for path in sorted(source.glob(each))
    ]
    if not tables:
        raise nothing_found(source, "clip lists of Kinetics", names)
    clips = scan_clips(source, by_stem=True)
    rows = (row for path in dict.fromkeys(tables) for row in _kinetics_rows(path, clips))
    return assemble_clips(rows, clips, partial=True)


def _kinetics_rows(path: Path, clips: MediaFolder) -> Iterator[Row | Problem]:
    stems = clips.by_stem or {}
    for row in read_table(path, KINETICS):
        if isinstance(row, Problem):
            yield row
            continue
        video, label = row.get("youtube_id"), row.get("label") or None
        try:
            name = f"{video}_{int(row.get('time_start')):06d}_{int(row.get('time_end')):06d}"
        except ValueError as error:
            yield Problem(row.where, f"start or end is not a whole second: {error}", row.where)
            continue
        file = video if name not in stems and video in stems else name
        split = row.split if label else None
        yield Row(file, None, split, row.where, name, label=label, group=video)


def _clips(source: Path, names: Sequence[str], *, root: bool = False) -> MediaFolder:
    """Return the clips of the one of these folders that is there, else (several) of the source."""
    folders = [folder for name in names if (folder := find(source, [name], folder=True))]
    if len(folders) > 1 or (root and not folders):
        return scan_clips(source, by_stem=True)
    folder = require(source, "clip folder", names, folder=True)
    return scan_clips(folder, by_stem=True)
