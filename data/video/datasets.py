"""The datasets of clips, with captions, labels or both.

Heavy modules are imported inside functions: the command line lists the datasets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from data.annotations.entries import Annotations, Entry
from data.annotations.splits import assign_fold
from data.common.errors import UserError
from data.storage.dataset_info import (
    GENERATED_LICENSE,
    OWN_LICENSE,
    PREPARED,
    Generator,
    ImagesOrClips,
    Loaded,
    Options,
)
from data.video.clip_folder import read_clip_folder
from data.video.corpora import (
    read_fight_surveillance,
    read_grid,
    read_hmdb51,
    read_kinetics,
    read_msrvtt,
    read_msvd,
    read_ucf101,
    read_vatex,
)

if TYPE_CHECKING:
    from data.media.sampling import Sampling


@dataclass(frozen=True)
class ClipDataset(ImagesOrClips):
    """Clips with captions, labels or both; some frames of each are stored.

    Attributes:
        reader: reads the annotations of a folder.
        fold_reader: the same for one of the official folds, 1 to 3, of a dataset that has them.
        rate: frames per second that are stored by default; None: `frames` of each clip.
        frames: the number of frames that are stored by default.
        max_side: the longest side of stored frames by default, pixels.
    """

    reader: Callable[[Path], Annotations] | None = field(default=None, kw_only=True)
    fold_reader: Callable[[Path, int], Annotations] | None = field(default=None, kw_only=True)
    rate: float | None = field(default=None, kw_only=True)
    frames: int = field(default=16, kw_only=True)
    max_side: int = field(default=256, kw_only=True)

    unit: ClassVar[str] = "clips"
    content: ClassVar[str] = "frames"
    id_feature: ClassVar[str] = "clip_id"
    shard_size: ClassVar[int] = 16

    @property
    def flags(self) -> frozenset[str]:
        """The command-line options that it accepts."""
        return super().flags if self.generated else frozenset({"image_size", "frames", "rate"})

    def options(self, given: Options) -> dict[str, Any]:
        """Return the sampling and, if one is given, the fold; of generated clips the seed."""
        if self.generated:
            if given.get("fold") is not None:
                raise UserError(f"--fold is for clips that are files, not for {self.name}")
            return super().options(given)
        from data.media.sampling import Sampling

        frames, rate, max_side = (given.get(name) for name in ("frames", "rate", "image_size"))
        if frames is None and rate is None:
            frames, rate = (self.frames, None) if self.rate is None else (None, self.rate)
        sampling = Sampling(frames, rate, max_side=self.max_side if max_side is None else max_side)
        fold = {"fold": given["fold"]} if given.get("fold") is not None else {}
        return {**asdict(sampling), **fold}

    def read(self, source: Path, options: Options) -> Annotations:
        """Return the clips of a folder.

        With the option `fold` they are those of an official fold or, where there is none, of one
        of five folds that keep groups together: see `data.annotations.splits.fold_listing`.
        """
        fold = options.get("fold")
        if self.fold_reader is not None:
            return self.fold_reader(source, fold or 1)
        assert self.reader is not None
        annotations = self.reader(source)
        return annotations if fold is None else assign_fold(annotations, fold)

    def decode(self, entry: Entry, options: Options) -> Loaded:
        """Read the chosen frames of a clip from its file."""
        from data.video.examples import clip_example

        return clip_example(entry, _sampling_of(options))

    def features(self) -> dict[str, Any]:
        """Return the stored features."""
        from data.video.examples import clip_features

        return clip_features(self.encoding)

    def metadata(self, options: Options) -> dict[str, Any]:
        """Return which frames are stored."""
        from data.video.examples import GENERATED

        sampling = GENERATED if self.generated else _sampling_of(options)
        return {"sampling": asdict(sampling), "sampling_fingerprint": sampling.fingerprint}


def _sampling_of(options: Options) -> Sampling:
    from data.media.sampling import Sampling

    return Sampling(**{name: value for name, value in options.items() if name != "fold"})


def _clips() -> Generator:
    from data.video.examples import clip_generator

    return clip_generator()


_BOTH = ("captions", "labels")
_YOUTUBE = "clips of YouTube users, under terms of their own"

CLIP_DATASETS = (
    ClipDataset(
        "synthetic-clips",
        "synthetic clips of moving shapes, with an action and five correct captions each",
        "no files: generated from a seed",
        annotations=_BOTH,
        generator=_clips,
        license=GENERATED_LICENSE,
    ),
    ClipDataset(
        "clip-folder",
        "your own clips with labels, captions in any language, or both",
        "clips/ with labels.csv (columns file, label) or captions.csv (file, caption); optional "
        "columns are split, start and end in seconds, group",
        annotations=_BOTH,
        reader=read_clip_folder,
        license=OWN_LICENSE,
    ),
    ClipDataset(
        "grid",
        "videos of one speaker's sentences of six words",
        "videos/ and sentences.csv (columns id, split, sentence)",
        annotations=_BOTH,
        reader=read_grid,
        rate=25,  # a letter takes a tenth of a second, by lips 60 pixels wide
        max_side=360,
    ),
    ClipDataset(
        "fight-surveillance",
        "240 surveillance clips, fight or none",
        "clips.csv (columns file, label, group) beside the clips",
        annotations=("labels",),
        reader=read_fight_surveillance,
    ),
    ClipDataset(
        "ucf101",
        "13,320 clips of 101 actions",
        "UCF-101/ with trainlist01.txt and testlist01.txt",
        annotations=("labels",),
        fold_reader=read_ucf101,
    ),
    ClipDataset(
        "hmdb51",
        "6,766 clips of 51 actions",
        "a folder for each class, in hmdb51_org/, with the lists *_test_split1.txt",
        annotations=("labels",),
        fold_reader=read_hmdb51,
    ),
    ClipDataset(
        "kinetics",
        "clips of hundreds of actions, as the official CSV files list them",
        "train.csv and validate.csv (columns label, youtube_id, time_start, time_end, split) "
        "above the clips",
        annotations=("labels",),
        reader=read_kinetics,
        license=f"annotations CC BY 4.0; {_YOUTUBE}",
    ),
    ClipDataset(
        "msrvtt",
        "10,000 clips, 20 English captions each",
        "videodatainfo.json, or train_val_videodatainfo.json and test_videodatainfo.json, "
        "with TrainValVideo/ and TestVideo/ or videos/",
        reader=read_msrvtt,
    ),
    ClipDataset(
        "msvd",
        "1,970 clips, about 40 English captions each",
        "YouTubeClips/ with AllVideoDescriptions.txt or the original CSV, and "
        "youtube_mapping.txt for the usual splits",
        reader=read_msvd,
    ),
    ClipDataset(
        "vatex",
        "35,000 clips, 10 English captions each",
        "vatex_training_v1.0.json and vatex_validation_v1.0.json with videos/",
        reader=read_vatex,
        license=f"captions CC BY 4.0; {_YOUTUBE}",
    ),
    ClipDataset(
        PREPARED,
        "clips that `wordreel prepare` has written",
        "its output folder",
        annotations=_BOTH,
    ),
)
