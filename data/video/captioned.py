"""Readers of corpora of clips with captions, in the layouts of their distributors.

Many corpora are distributed as links: a copy rarely has all clips; each missing one is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from data.annotations.assemble import assemble
from data.annotations.entries import Annotations, Problem, Row
from data.annotations.headers import LANGUAGES
from data.annotations.source_files import (
    find,
    matching_lines,
    nothing_found,
    read_json,
    read_lines,
    require,
)
from data.annotations.splits import SPLITS, hold_out_groups
from data.annotations.tables import Column, Layout, read_rows, read_table, require_rows
from data.common.errors import UserError
from data.video.clip_folder import CLIPS, scan_clips
from data.video.corpora import find_clips, read_field, segment_name

VATEX_FILES: dict[str | None, tuple[str, ...]] = {
    "train": ("vatex_training_v1.0.json",),
    "validation": ("vatex_validation_v1.0.json",),
    "test": ("vatex_public_test_english_v1.1.json", "vatex_test_v1.0.json"),
    None: ("vatex_private_test_without_annotations.json",),  # their captions are secret
}
_VATEX_KEYS = {"english": "enCap", "chinese": "chCap"}
MSRVTT_FILES = (
    *("videodatainfo.json", "MSRVTT_data.json", "MSR_VTT.json", "videodatainfo_20*.json"),
    *("train_val_videodatainfo*.json", "test_videodatainfo*.json"),
)
_MSRVTT_TRAIN, _MSRVTT_VALIDATION = 6513, 7010  # the first numbers that are not in these splits
_MSRVTT_1K = {"MSRVTT_JSFUSION_test.csv": "test", "MSRVTT_train.9k.csv": "train"}
_VIDEO_ID = Layout({"id": Column(("video_id",), required=True, filled=True)}, ragged=True)
_MSVD_TRAIN, _MSVD_VALIDATION = 1200, 1300  # the last numbers of these splits
MSVD = Layout(
    {
        name: Column((name,), required=True)
        for name in ("videoid", "start", "end", "language", "description")
    },
    ragged=True,
)
CHARADES = Layout(
    {
        "file": Column(("id",), required=True, filled=True),
        "caption": Column(("descriptions",), required=True, kind="text"),
        "group": Column(("subject",)),
    }
)


def english_name(language: str) -> str:
    """Return the English name of a language in lower case: of "de" or "German", "german"."""
    return LANGUAGES.get(language.lower(), language.lower())


def read_grid(source: Path) -> Annotations:
    """Read GRID (Cooke et al. 2006): a folder for each speaker, `s1/*.mpg`, and `*.align` files.

    A clip's caption is its sentence, its label the sentence's verb: bin, lay, place or set. The
    clips of a speaker stay in one split if there are three speakers or more. Or `videos/` and
    `sentences.csv` (id, split, sentence).
    """
    if table := find(source, ["sentences.csv"]):
        both = read_rows(table, CLIPS)
        labeled = (row if isinstance(row, Problem) else _with_verb(row) for row in both)
        return assemble(labeled, find_clips(source, ["videos"]))
    clips = scan_clips(source)
    aligned: dict[tuple[str, str], str] = {}
    for file in clips.files:
        path = PurePosixPath(file)
        if path.suffix == ".align":
            aligned[_speaker(path), path.stem] = file
    if not aligned:
        raise nothing_found(source, "sentences of GRID", ["s1/*.mpg with *.align", "sentences.csv"])
    paths = [PurePosixPath(file) for file in filter(clips.has_suffix, clips.files)]
    several = len({_speaker(path) for path in paths}) > 2
    rows = list[Row]()
    for path in paths:
        speaker = _speaker(path)
        where = aligned.get((speaker, path.stem)) or aligned.get(("", path.stem))
        if where is not None:
            text = " ".join(_aligned_words(clips.root / where))
            row = Row(str(path), text, None, where, group=speaker if several else None)
            rows.append(_with_verb(row))
    annotations = assemble(rows, clips)
    if several:
        return annotations
    note = "fewer than three speakers: the splits share them"
    return annotations._replace(notes=(*annotations.notes, note))


def _with_verb(row: Row) -> Row:
    return row._replace(label=(row.caption or "").split(" ")[0] or None)


def _speaker(path: PurePosixPath) -> str:
    """Return the folder of a speaker, such as "s1"; "" if a path has none."""
    found = (re.match(r"(s\d+)(?![^\W_])", part) for part in path.parts[:-1])
    return next((match[1] for match in found if match), "")


def _aligned_words(path: Path) -> Iterator[str]:
    """Yield the words of an alignment (start, end, word), without silence."""
    for _, match in matching_lines(path, r"\s*\d+\s+\d+\s+(\S+)\s*", "23750 29500 bin"):
        if match[1] not in ("sil", "sp"):
            yield match[1]


def read_msrvtt(source: Path) -> Annotations:
    """Read MSR-VTT (Xu et al. 2016) in any of its variants.

    Captions are in one JSON file, or in one for training and validation and one for test. Without
    a `split`, the number of a video decides. With `MSRVTT_JSFUSION_test.csv` beside it the splits
    are those of 1k-A; without `MSRVTT_train.9k.csv`, all other clips are for training.
    """
    found = [path for name in MSRVTT_FILES for path in _find_all(source, name)]
    if not found:
        raise nothing_found(source, "caption file of MSR-VTT", MSRVTT_FILES)
    parts = [path for path in found if re.match("train|test", path.name)]
    used = [path for path in found if path not in parts][:1] or parts
    clips = find_clips(source, ["videos", "TrainValVideo", "TestVideo", "all"], root=True)
    notes = [f"captions from {' and '.join(path.name for path in used)}"]
    splits = _msrvtt_1k(source)
    rows = list[Row]()
    for path in used:
        rows += _msrvtt_rows(path, splits, notes)
    if splits:
        notes.append("splits of 1k-A: MSRVTT_JSFUSION_test.csv")
    annotations = assemble(hold_out_groups(rows), clips, partial=True)
    return annotations._replace(notes=(*notes, *annotations.notes))


def _find_all(source: Path, pattern: str) -> list[Path]:
    return sorted({*source.glob(pattern), *source.glob(f"*/{pattern}")})


def _msrvtt_1k(source: Path) -> dict[str, str]:
    """Return the splits of 1k-A by video; none without its list of test videos."""
    lists = {split: find(source, [name]) for name, split in _MSRVTT_1K.items()}
    if (test := lists["test"]) is None:
        return {}
    # "" stands for all other videos.
    train = lists["train"]
    others = [row.get("id") for row in require_rows(train, _VIDEO_ID)] if train else [""]
    splits = dict.fromkeys(others, "train")
    return splits | {row.get("id"): "test" for row in require_rows(test, _VIDEO_ID)}


def _msrvtt_rows(path: Path, splits: Mapping[str, str], notes: list[str]) -> Iterator[Row]:
    content = read_json(path)
    listed, key, texts, text_key = "videos", "video_id", "sentences", "video_id"
    if isinstance(content, dict) and "annotations" in content:  # in COCO's format
        listed, key, texts, text_key = "images", "id", "annotations", "image_id"
    videos = read_field(content, listed, list, path)
    secret = texts not in content and path.name.startswith("test")
    sentences = [] if secret else read_field(content, texts, list, path)
    described = {str(read_field(sentence, text_key, object, path)) for sentence in sentences}
    for video in videos:
        name = str(read_field(video, key, object, path))
        source = str(video.get("url") or name)  # the video that the clip was cut from
        split = splits.get(name, splits.get("")) if splits else _msrvtt_split(video, name)
        if name in described:
            yield Row(name, None, split, path.name, name, group=source)
    if others := len(videos) - len(described):
        notes.append(f"{path.name} has no {texts} of {others:,} clips: left out")
    for sentence in sentences:
        name = str(read_field(sentence, text_key, object, path))
        number = str(sentence.get("sen_id", sentence.get("id")))
        text = read_field(sentence, "caption", str, path)
        yield Row(name, text, None, path.name, name, number=number)


def _msrvtt_split(video: Mapping[str, Any], name: str) -> str | None:
    if "split" in video:
        return SPLITS.get(str(video["split"]).lower())
    if (number := re.search(r"\d+$", name)) is None:
        return None
    at = int(number[0])
    return "train" if at < _MSRVTT_TRAIN else "validation" if at < _MSRVTT_VALIDATION else "test"


def read_msvd(source: Path, language: str = "english") -> Annotations:
    """Read MSVD (Chen & Dolan 2011): clips and their descriptions.

    Clips are named `<video>_<start>_<end>`, or `vidN` as in `youtube_mapping.txt`. The numbers give
    the usual splits, 1,200 : 100 : 670 (Venugopalan et al. 2015); without the mapping they are
    chosen. `AllVideoDescriptions.txt` is English, the original CSV has many languages.
    """
    table = ("MSR Video Description Corpus.csv", "video_corpus.csv")
    names = ("AllVideoDescriptions.txt",) if english_name(language) == "english" else ()
    path = require(source, f"{language} descriptions of MSVD", [*names, *table])
    clips = find_clips(source, ["YouTubeClips", "videos", "clips"], root=True)
    mapping, numbers = find(source, ["youtube_mapping.txt"]), dict[str, int]()
    if mapping:
        for _, match in matching_lines(mapping, r"\s*(\S+)\s+vid(\d+)\s*", "-4wsuPCjDBc_5_15 vid1"):
            numbers[match[1]] = int(match[2])
    pairs = _msvd_csv(path, language) if path.suffix == ".csv" else _msvd_text(path)
    rows, stems = list[Row](), clips.by_stem or {}
    for where, name, text in pairs:
        number = numbers.get(name) or _msvd_number(name)
        file = f"vid{number}" if name not in stems and f"vid{number}" in stems else name
        split = _msvd_split(number) if number and text else None
        rows.append(Row(file, text, split, where, name, group=name.rsplit("_", 2)[0]))
    if not any(row.caption for row in rows):
        raise UserError(f"{path}: no description in {language}")
    if any(map(_msvd_number, stems)) and not any(row.file in stems for row in rows):
        require(source, "list of clip names of MSVD", ["youtube_mapping.txt"])
    return assemble(rows, clips, partial=True)


def _msvd_number(name: str) -> int | None:
    match = re.fullmatch(r"vid(\d+)", name)
    return int(match[1]) if match else None


def _msvd_split(number: int) -> str:
    if number <= _MSVD_TRAIN:
        return "train"
    return "validation" if number <= _MSVD_VALIDATION else "test"


def _msvd_text(path: Path) -> Iterator[tuple[str, str, str | None]]:
    for number, line in read_lines(path):
        name, text = [*line.split(None, 1), ""][:2]
        if not name.startswith("#"):
            yield f"{path.name}:{number}", name, text.strip()


def _msvd_csv(path: Path, language: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield where, clip and description; None for those in other languages."""
    wanted = english_name(language)
    for row in require_rows(path, MSVD):
        name = f"{row.get('videoid')}_{row.get('start')}_{row.get('end')}"
        text = row.get("description") if row.get("language").lower() == wanted else ""
        yield row.where, name, text or None


def read_vatex(source: Path, language: str = "english") -> Annotations:
    """Read VATEX (Wang et al. 2019): `vatex_training_v1.0.json` and its siblings.

    Clips are named by their `videoID` (eleven letters, the start and the end in the video), or by
    the eleven letters alone. Captions are English or Chinese.
    """
    if (key := _VATEX_KEYS.get(english_name(language))) is None:
        raise UserError(f"--language of vatex is en or zh, not {language}")
    clips = find_clips(source, ["videos", "clips", "vatex"], root=True)
    rows, notes = list[Row](), list[str]()
    paths = {split: find(source, names) for split, names in VATEX_FILES.items()}
    if paths["train"] is None:
        raise nothing_found(source, "training file of VATEX", VATEX_FILES["train"])
    for split, path in paths.items():
        if path is None:
            continue
        videos = read_json(path)
        if not isinstance(videos, list):
            raise UserError(f"{path}: not a list of videos: {videos!r:.80}")
        if split == "test" and not any(isinstance(each, dict) and key in each for each in videos):
            notes.append(f"{path.name} has no {key!r}: no test split")
            continue
        for video in videos:
            name = read_field(video, "videoID", str, path)
            texts = read_field(video, key, list, path) if split else [None]
            file = segment_name(clips, name[:11], *name[12:].split("_")) or name
            rows += [
                Row(file, text, split, path.name, name, str(at), group=name[:11])
                for at, text in enumerate(texts)
            ]
    annotations = assemble(hold_out_groups(rows), clips, partial=True)
    return annotations._replace(notes=(*notes, *annotations.notes))


def read_activitynet(source: Path) -> Annotations:
    """Read ActivityNet Captions (Krishna et al. 2017): `train.json`, `val_1.json`, `val_2.json`.

    A file gives `timestamps` and `sentences` for each video; each pair is a part of a clip. The two
    files for validation describe the same videos.
    """
    names = {"train": ("train.json",), "validation": ("val_1.json", "val_2.json", "val.json")}
    found = [(split, path) for split, some in names.items() for name in some
             if (path := find(source, [name]))]  # fmt: skip
    if not found:
        raise nothing_found(source, "captions of ActivityNet", sum(names.values(), ()))
    clips = find_clips(source, ["videos", "clips"], root=True)
    both = [each for split, path in found for each in _activitynet_rows(path, split)]
    problems = [each for each in both if isinstance(each, Problem)]
    rows = hold_out_groups(each for each in both if isinstance(each, Row))
    return assemble([*problems, *rows], clips, partial=True)


def _activitynet_rows(path: Path, split: str) -> Iterator[Row | Problem]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: not an object with a key for each video: {content!r:.80}")
    for name, video in content.items():
        times = read_field(video, "timestamps", list, path)
        texts = read_field(video, "sentences", list, path)
        if len(times) != len(texts):
            reason = f"{len(times)} timestamps for {len(texts)} sentences"
            yield Problem(name, reason, path.name)
            continue
        for time, text in zip(times, texts, strict=True):
            match time:
                case [int() | float() as start, int() | float() as end] if 0 <= start < end:
                    where, part = path.name, (float(start), float(end))
                    yield Row(name, str(text), split, where, None, None, None, name, *part)
                case _:
                    yield Problem(name, f"not a part of a clip, in seconds: {time}", path.name)


def read_charades(source: Path) -> Annotations:
    """Read Charades (Sigurdsson et al. 2016): `Charades_v1_train.csv` and `Charades_v1_test.csv`.

    The captions are the `descriptions`; the clips of a subject stay in one split. Validation is
    chosen from training.
    """
    rows, problems = list[Row](), list[Problem]()
    for split in ("train", "test"):
        names = [f"Charades_v1_{split}.csv", f"Charades_{split}.csv"]
        if split == "test" and find(source, names) is None:
            continue
        for row in read_table(require(source, f"{split} list of Charades", names), CHARADES):
            if isinstance(row, Problem):
                problems.append(row)
                continue
            rows += [
                Row(
                    row.get("file"), text, split, row.where, row.get("file"), group=row.get("group")
                )
                for text in row.get("caption").split(";")
            ]
    clips = find_clips(source, ["Charades_v1_480", "Charades_v1", "videos"], root=True)
    return assemble([*problems, *hold_out_groups(rows)], clips, partial=True)
