"""The datasets of clips, and how to prepare and read them.

    prepared = prepare_clips("clip-folder", "~/juggling", sampling=Sampling(count=16))
    for clip_id, frames in prepared.frames("validation"):
        ...

Nothing heavy is imported before it is needed: the command line lists datasets from here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.common.errors import UserError, unknown
from data.storage.cache import data_home, say, tell, writing_to
from data.storage.dataset_info import DatasetInfo, source_folder
from data.storage.prepared import count_splits, open_prepared
from data.storage.write_listing import write_listing
from data.video.prepared import PreparedClips, PreparedDrawnClips

if TYPE_CHECKING:
    from data.annotations.entries import Listing, Problem
    from data.media.sampling import Sampling

# Raised when what is stored for the same source changes, so that no older dataset is reused.
_FORMAT = 1

BOTH = ("captions", "labels")
OFFICIAL_FOLDS = ("ucf101", "hmdb51")  # of each, three
CLIP_DATASETS: Mapping[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "synthetic-clips",
            "drawn shapes that move, with an action and five true captions each",
            False,
            "nothing: drawn from a seed",
            made=True,
            has=BOTH,
        ),
        DatasetInfo(
            "clip-folder",
            "your own clips with labels, captions in any language, or both",
            True,
            "clips/ with labels.csv (columns file, label) or captions.csv (file, caption); if you "
            "like with the columns split, start and end in seconds, group",
            has=BOTH,
        ),
        DatasetInfo(
            "grid",
            "one speaker's sentences of six words, filmed",
            True,
            "videos/ and sentences.csv (columns id, split, sentence)",
            has=BOTH,
        ),
        DatasetInfo(
            "fight-surveillance",
            "240 surveillance clips, fight or none",
            True,
            "clips.csv (columns file, label, group) beside the clips",
            has=("labels",),
        ),
        DatasetInfo(
            "ucf101",
            "13,320 clips of 101 actions",
            True,
            "UCF-101/ with trainlist01.txt and testlist01.txt",
            has=("labels",),
        ),
        DatasetInfo(
            "hmdb51",
            "6,766 clips of 51 actions",
            True,
            "a folder a class, in hmdb51_org/, with the lists *_test_split1.txt",
            has=("labels",),
        ),
        DatasetInfo(
            "kinetics",
            "clips of hundreds of actions, as their owner's CSV files list them",
            True,
            "train.csv and validate.csv (columns label, youtube_id, time_start, time_end, split) "
            "above the clips",
            has=("labels",),
        ),
        DatasetInfo(
            "msrvtt",
            "10,000 clips, 20 English captions each",
            True,
            "videodatainfo.json, or train_val_videodatainfo.json and test_videodatainfo.json, "
            "with TrainValVideo/ and TestVideo/ or videos/",
        ),
        DatasetInfo(
            "msvd",
            "1,970 clips, about 40 English captions each",
            True,
            "YouTubeClips/ with AllVideoDescriptions.txt or the original CSV, and "
            "youtube_mapping.txt for the usual splits",
        ),
        DatasetInfo(
            "vatex",
            "35,000 clips, 10 English captions each",
            True,
            "vatex_training_v1.0.json and vatex_validation_v1.0.json with videos/",
        ),
        DatasetInfo(
            "prepared",
            "clips that `wordreel prepare` has stored",
            True,
            "the folder that it wrote",
        ),
    )
}


def default_sampling(name: str) -> Sampling:
    """Return which frames of a clip are stored unless the user says otherwise."""
    from data.media.sampling import Sampling

    if name == "grid":  # a letter is spoken in a tenth of a second, by lips 60 pixels wide
        return Sampling(rate=25, max_side=360)
    return Sampling(count=16, max_side=256)


def prepare_clips(
    name: str,
    source: Path | str | None = None,
    *,
    sampling: Sampling | None = None,
    fold: int | None = None,
    data_dir: Path | str | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
) -> PreparedClips:
    """Return the dataset, its frames written to `data_dir` unless they are there already.

    What is wrong with the source goes to a report file and, counted, to the screen.

    Args:
        name: a key of `CLIP_DATASETS`.
        source: the folder it lies in.
        sampling: which frames are stored; None: see `default_sampling`. Of drawn clips, all are.
        fold: see `list_clips`.
        data_dir: see `data.storage.cache.data_home`.
        max_bad: the share of clips that may have problems, 0 to 1.
        seed: of the drawn clips. The splits of others do not depend on it.

    Raises:
        UserError: for an unknown name, a source that is not there or not in the expected layout,
            too many bad clips, or a `data_dir` that cannot be written.
    """
    if name not in CLIP_DATASETS:
        raise unknown("dataset", name, CLIP_DATASETS)
    if not 0 <= max_bad <= 1:
        raise UserError(f"--max-bad is a share between 0 and 1, not {max_bad}")
    folder = source_folder(CLIP_DATASETS[name], source)
    home = data_home(data_dir)
    if folder is None:
        if fold is not None:
            raise UserError(f"--fold is for clips that are files, not for {name}")
        return _prepare_drawn(home, seed)
    if name == "prepared":
        return _open(folder, sampling, fold)
    return _prepare_files(name, folder, home, max_bad, sampling or default_sampling(name), fold)


def _prepare_files(
    name: str, source: Path, home: Path, max_bad: float, sampling: Sampling, fold: int | None
) -> PreparedClips:
    listing = list_clips(name, source, fold)

    def write(fingerprint: str, problems: list[Problem], **options: Any) -> Path:
        from data.video.builders import build_clips, checked_clips

        splits = checked_clips(listing, problems, sampling, **options)
        return build_clips(
            name, fingerprint, encoding="jpeg", sampling=sampling, splits=splits, data_dir=home
        )

    options = [_FORMAT, sampling.fingerprint]
    prepared: PreparedClips = write_listing(
        PreparedClips, name, listing, options, home, max_bad, write, what="clip"
    )
    return prepared


def _open(folder: Path, sampling: Sampling | None, fold: int | None) -> PreparedClips:
    """Open what `wordreel prepare` has stored, unless other frames or splits are wanted."""
    stored = open_prepared(folder, "clip_id")
    kind = PreparedDrawnClips if stored["name"] == "synthetic-clips" else PreparedClips
    prepared = kind(**stored)
    if fold is not None:
        raise UserError("--fold is for clips that are files: prepared ones have their splits")
    if sampling is not None:
        has = [prepared.sampling[name] for name in ("count", "rate")]
        if has != [sampling.count, sampling.rate]:
            told = "{} frames a clip" if has[0] else "{1:g} frames a second"
            raise UserError(
                f"{folder} holds {told.format(*has)}: other ones are for `wordreel prepare` to "
                "store, with --frames or --rate"
            )
    return prepared


def list_clips(name: str, source: Path, fold: int | None = None) -> Listing:
    """Read which clips a dataset has in its folder; remarks go to the screen.

    Args:
        name: a key of `CLIP_DATASETS`.
        source: the folder.
        fold: which of the official splits, where there are several; else which of five to test on,
            split by groups as `data.annotations.splits` says. None: the dataset's own
            splits, the first.

    Raises:
        UserError: for a source that cannot be read or is not in the expected layout.
    """
    from data.annotations.splits import fold_listing

    try:
        if name in OFFICIAL_FOLDS:
            listing = _readers()[name](source, fold or 1)
        else:
            listing = _readers()[name](source)
            listing = listing if fold is None else fold_listing(listing, fold)
    except OSError as error:
        raise UserError(f"cannot read {error.filename or source}: {error.strerror}") from error
    for note in listing.notes:
        say(f"{name}: {note}")
    return listing


def _readers() -> Mapping[str, Callable[..., Listing]]:
    from data.video import clip_folder, corpora

    return {
        "clip-folder": clip_folder.read_clip_folder,
        "grid": corpora.read_grid,
        "fight-surveillance": corpora.read_fight_surveillance,
        "ucf101": corpora.read_ucf101,
        "hmdb51": corpora.read_hmdb51,
        "kinetics": corpora.read_kinetics,
        "msrvtt": corpora.read_msrvtt,
        "msvd": corpora.read_msvd,
        "vatex": corpora.read_vatex,
    }


def _prepare_drawn(home: Path, seed: int) -> PreparedClips:
    from data.annotations.problems import write_report
    from data.builtin import clips
    from data.common.progress import progress
    from data.storage.builders import is_built
    from data.video.builders import DRAWN, build_clips, drawn

    digest = hashlib.sha256(json.dumps([_FORMAT, clips.VERSION, seed]).encode())
    fingerprint, name = digest.hexdigest()[:16], "synthetic-clips"
    report = home / name / fingerprint / "problems.jsonl"
    built = is_built(home, name, fingerprint)
    bar = progress(sum(clips.SPLITS.values()), "drawing clips", "clips")
    with writing_to(home), bar:
        write_report(report, [])
        splits = drawn(seed, bar)
        directory = build_clips(
            name, fingerprint, encoding="png", sampling=DRAWN, splits=splits, data_dir=home
        )
    counts = count_splits(directory)
    prepared = PreparedDrawnClips(name, directory, fingerprint, counts, report)
    tell(prepared, [], again=built, kind="clips")
    return prepared
