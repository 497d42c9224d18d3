"""Readers of corpora of clips with labels, in the layouts of their distributors.

Many corpora are distributed as links: a copy rarely has all clips; each missing one is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from data.annotations.assemble import assemble
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.scan import MediaFolder
from data.annotations.source_files import (
    find,
    matching_lines,
    nothing_found,
    read_json,
    require,
)
from data.annotations.splits import hold_out_groups
from data.annotations.tables import SPLIT, Column, Layout, parse_seconds, read_rows, read_table
from data.common.errors import UserError
from data.video.clip_folder import CLIPS, scan_clips

SOMETHING_FILES = {
    "train": ["something-something-v2-train.json", "train.json"],
    "validation": ["something-something-v2-validation.json", "validation.json"],
    "test": ["test-answers.csv"],
}
_NO_BRACKETS = str.maketrans("", "", "[]")
T = TypeVar("T")

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


def read_fight_surveillance(source: Path) -> Annotations:
    """Read surveillance fights (Aktı, Tataroğlu & Ekenel 2019): `clips.csv` (file, label, group).

    Clips of one group share a scene.
    """
    table = require(source, "clip list", ["clips.csv"])
    return assemble(read_rows(table, CLIPS), scan_clips(table.parent))


def read_ucf101(source: Path, fold: int = 1) -> Annotations:
    """Read UCF101 (Soomro, Zamir & Shah 2012): `UCF-101/` and `trainlist01.txt`, `testlist01.txt`.

    The official lists have no validation split: a tenth of the training groups becomes one. The
    clips of a group come from one video. `fold` is one of the three official splits.
    """
    clips = find_clips(source, ["UCF-101", "UCF101", "videos"])
    rows = list[Row]()
    pattern = r"\s*(\S+)/(v_\w+_g(\d+)_c\d+)\.avi(?:\s+\d+)?\s*"
    for split in ("train", "test"):
        path = require(source, "split list of UCF101", [f"{split}list{fold:02d}.txt"])
        for where, match in matching_lines(path, pattern, "Class/v_Class_g01_c01.avi"):
            label, name, number = match.groups()
            rows.append(Row(name, None, split, where, label=label, group=f"{label} {number}"))
    return assemble(hold_out_groups(rows), clips, partial=True)


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
    clips = find_clips(source, ["hmdb51_org", "hmdb51", "videos"], root=True)
    rows = list[Row]()
    for path in lists:
        label = path.name.removesuffix(pattern[1:])
        for where, match in matching_lines(path, r"\s*(\S.*\S)\.avi\s+([012])\s*", "clip.avi 0"):
            split = {"1": "train", "2": "test"}.get(match[2])
            group = match[1].partition(f"_{label}_")[0]
            rows.append(Row(match[1], None, split, where, label=label, group=group))
    return assemble(hold_out_groups(rows), clips, partial=True)


def read_something(source: Path) -> Annotations:
    """Read Something-Something v2 (Goyal et al. 2017): a JSON file for each split.

    A clip's label is its `template` without brackets, its caption the `label`, which names the
    objects. Clips are named by their ids. Test clips have neither, unless `test-answers.csv` (id,
    template) gives their labels.
    """
    rows = list[Row]()
    for split, names in SOMETHING_FILES.items():
        if split == "test" and find(source, names) is None:
            continue
        path = require(source, f"{split} file of Something-Something", names)
        if path.suffix == ".csv":
            for where, match in matching_lines(path, r"(\d+);(.*)", "1420;Pushing something"):
                label = match[2].strip(' "').translate(_NO_BRACKETS)
                rows.append(Row(match[1], None, split, where, label=label))
            continue
        content = read_json(path)
        for clip in content if isinstance(content, list) else [content]:
            name = str(read_field(clip, "id", object, path))
            label = read_field(clip, "template", str, path).translate(_NO_BRACKETS)
            text = read_field(clip, "label", str, path)
            rows.append(Row(name, text, split, path.name, name, label=label))
    clips = find_clips(source, ["20bn-something-something-v2", "videos"], root=True)
    return assemble(rows, clips, partial=True)


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
    return assemble(rows, clips, partial=True)


def _kinetics_rows(path: Path, clips: MediaFolder) -> Iterator[Row | Problem]:
    for row in read_table(path, KINETICS):
        if isinstance(row, Problem):
            yield row
            continue
        video, label = row.get("youtube_id"), row.get("label") or None
        try:
            start, end = (parse_seconds(row.get(name)) for name in ("time_start", "time_end"))
        except ValueError as error:
            yield Problem(row.where, f"start or end is not a time in seconds: {error}", row.where)
            continue
        name = f"{video}_{start:06.0f}_{end:06.0f}"
        file = segment_name(clips, video, row.get("time_start"), row.get("time_end")) or name
        split = row.split if label else None
        yield Row(file, None, split, row.where, name, label=label, group=video)


def segment_name(clips: MediaFolder, video: str, *times: str) -> str:
    """Return the stem of the clip that is a part of a video; "" if there is none.

    Names are `<video>_<start>_<end>`, with six digits each or as given, or `<video>` alone.
    """
    try:
        seconds = [parse_seconds(time) for time in times]
    except ValueError:
        return ""
    names = [
        "_".join([video, *(f"{each:{form}}" for each in seconds)]) for form in ("06.0f", ".0f")
    ]
    names += ["_".join([video, *times]), video]
    return next((name for name in names if name in (clips.by_stem or {})), "")


def find_clips(source: Path, names: Sequence[str], *, root: bool = False) -> MediaFolder:
    """Return the clips of the one of these folders that is there, else (several) of the source.

    Args:
        source: the folder of the corpus.
        names: of folders.
        root: whether the clips may be in the source itself.
    """
    folders = [folder for name in names if (folder := find(source, [name], folder=True))]
    if len(folders) > 1 or (root and not folders):
        return scan_clips(source, by_stem=True)
    folder = require(source, "clip folder", names, folder=True)
    return scan_clips(folder, by_stem=True)


def read_field(item: object, name: str, kind: type[T], path: Path) -> T:
    """Return a value of a JSON object.

    Raises:
        UserError: naming the file and the key, if it is missing or of another type.
    """
    if not isinstance(item, dict) or name not in item:
        found = f"keys {', '.join(map(repr, list(item)[:8]))}" if isinstance(item, dict) else item
        raise UserError(f"{path}: no key {name!r} where it is expected: found {found!s:.200}")
    if not isinstance(value := item[name], kind):
        raise UserError(f"{path}: {name!r} is not a {kind.__name__}: {value!r:.80}")
    return value
