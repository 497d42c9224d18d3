"""The datasets of clips, with captions, labels or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from data.annotations.entries import Annotations, Entry
from data.annotations.splits import assign_fold
from data.common.errors import UserError
from data.storage.dataset_info import (
    GENERATED_LICENSE,
    OWN_LICENSE,
    PREPARED,
    Dataset,
    Generator,
    Loaded,
    Options,
)
from data.video import captioned, corpora
from data.video.clip_folder import read_clip_folder, report_labels_and_groups

if TYPE_CHECKING:
    from data.media.sampling import Sampling

_CHOICES = ("fold", "language")  # options that select annotations, not frames


@dataclass(frozen=True, kw_only=True)
class ClipDataset(Dataset):
    """Clips with captions, labels or both; some frames of each are stored.

    Attributes:
        reader: reads the annotations of a folder.
        fold_reader: the same for one of the official folds, 1 to 3, of a dataset that has them.
        language_reader: the same for captions in one of several languages, English by default.
        rate: frames per second that are stored by default; None: `frames` of each clip.
        frames: the number of frames that are stored by default.
        max_side: the longest side of stored frames by default, pixels.
    """

    reader: Callable[[Path], Annotations] | None = None
    fold_reader: Callable[[Path, int], Annotations] | None = None
    language_reader: Callable[..., Annotations] | None = None
    rate: float | None = None
    frames: int = 16
    max_side: int = 256

    unit: ClassVar[str] = "clips"
    content: ClassVar[str] = "frames"
    id_feature: ClassVar[str] = "clip_id"
    shard_size: ClassVar[int] = 16
    file_flags: ClassVar[frozenset[str]] = frozenset(
        {"image_size", "frames", "rate", "fold", "language"}
    )

    def options(self, given: Options) -> dict[str, Any]:
        """Return what decides how clips are stored: see `Dataset.options`."""
        if self.generated and given.get("fold") is not None:
            raise UserError(f"--fold is for clips that are files, not for {self.name}")
        if self.language_reader is None and given.get("language") is not None:
            raise UserError(f"--language is for msvd and vatex, not for {self.name}")
        return super().options(given)

    def file_options(self, given: Options) -> dict[str, Any]:
        """Return the sampling and, if they are given, the fold and the language."""
        from data.media.sampling import Sampling

        frames, rate, max_side = (given.get(name) for name in ("frames", "rate", "image_size"))
        if frames is None and rate is None:
            frames, rate = (self.frames, None) if self.rate is None else (None, self.rate)
        sampling = Sampling(frames, rate, max_side=self.max_side if max_side is None else max_side)
        chosen = {name: given[name] for name in _CHOICES if given.get(name) is not None}
        return {**asdict(sampling), **chosen}

    def read(self, source: Path, options: Options) -> Annotations:
        """Return the clips of a folder.

        The option `fold` is an official fold or, where there is none, one of `assign_fold`.
        """
        fold = options.get("fold")
        if self.fold_reader is not None:
            return self.fold_reader(source, fold or 1)
        reader, language = self.reader, options.get("language")
        if self.language_reader is not None:
            reader = partial(self.language_reader, **{"language": language} if language else {})
        assert reader is not None
        annotations = reader(source)
        return annotations if fold is None else assign_fold(annotations, fold)

    def check(self, annotations: Annotations) -> Annotations:
        """Check the splits, and report suspicious labels and groups."""
        return report_labels_and_groups(super().check(annotations))

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Return the chosen frames of a clip, and its annotations."""
        from data.media.images import encode_jpeg
        from data.media.video import sample

        remarks: tuple[str, ...] = ()
        if self.generator is not None and (render := self.generator().render):
            from data.builtin.clips import RATE

            frames = render(entry.image_id)
            times = [number / RATE for number in range(len(frames))]
        else:
            sampling = self._sampling(options)
            start, end = entry.start, entry.end
            clip = sample(entry.path, sampling, start=start, end=end, place=entry.place)
            frames, remarks = [encode_jpeg(frame) for frame in clip.frames], clip.remarks
            times = clip.times.tolist()
        example = {
            "frames": frames,
            "times": times,
            "clip_id": entry.image_id,
            "captions": entry.captions,
            "label": entry.label,
            "group": entry.group or entry.image_id,
        }
        return Loaded(example, remarks)

    def features(self) -> dict[str, Any]:
        """Return the stored features.

        `times` are seconds from the first frame of the file. A clip without captions has none, one
        without a label "". Clips of one `group` must stay in one split.
        """
        import numpy as np
        import tensorflow_datasets as tfds

        image = tfds.features.Image(shape=(None, None, 3), encoding_format=self.encoding)
        text = tfds.features.Text()
        return {
            "frames": tfds.features.Sequence(image),
            "times": tfds.features.Sequence(np.float32),
            "clip_id": text,
            "captions": tfds.features.Sequence(text),
            "label": text,
            "group": text,
        }

    def metadata(self, options: Options) -> dict[str, Any]:
        """Return which frames are stored."""
        sampling = self._sampling(options)
        return {"sampling": asdict(sampling), "sampling_fingerprint": sampling.fingerprint}

    def _sampling(self, options: Options) -> Sampling:
        from data.media.sampling import Sampling

        if self.generated:
            from data.builtin.clips import FRAMES

            return Sampling(count=FRAMES, placing="uniform")  # all of them
        return Sampling(**{name: value for name, value in options.items() if name not in _CHOICES})


def _clips() -> Generator:
    from data.builtin import clips
    from data.builtin.caption_checker import is_true

    return Generator(
        clips.entries,
        clips.VERSION,
        clips.render_pngs,
        is_true=lambda clip_id, caption: is_true(caption, clips.clip_by_id(clip_id)),
    )


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
        "clips/ with labels.csv (columns file, label) or captions.csv (file, caption), optional "
        "columns are split, start and end in seconds, group; or a folder for each class, *.tar, "
        "*.parquet, or a JSON file in COCO's format",
        annotations=_BOTH,
        reader=read_clip_folder,
        license=OWN_LICENSE,
    ),
    ClipDataset(
        "grid",
        "videos of sentences of six words, up to 34 speakers",
        "a folder for each speaker (s1/*.mpg) and align/*.align, as distributed; or videos/ and "
        "sentences.csv (columns id, split, sentence)",
        annotations=_BOTH,
        reader=captioned.read_grid,
        rate=25,  # a letter takes a tenth of a second, by lips 60 pixels wide
        max_side=360,
    ),
    ClipDataset(
        "fight-surveillance",
        "240 surveillance clips, fight or none",
        "clips.csv (columns file, label, group) beside the clips",
        annotations=("labels",),
        reader=corpora.read_fight_surveillance,
    ),
    ClipDataset(
        "ucf101",
        "13,320 clips of 101 actions",
        "UCF-101/ with trainlist01.txt and testlist01.txt",
        annotations=("labels",),
        fold_reader=corpora.read_ucf101,
    ),
    ClipDataset(
        "hmdb51",
        "6,766 clips of 51 actions",
        "a folder for each class, in hmdb51_org/, with the lists *_test_split1.txt",
        annotations=("labels",),
        fold_reader=corpora.read_hmdb51,
    ),
    ClipDataset(
        "kinetics",
        "clips of hundreds of actions, as the official CSV files list them",
        "train.csv and validate.csv (columns label, youtube_id, time_start, time_end, split) "
        "above the clips",
        annotations=("labels",),
        reader=corpora.read_kinetics,
        license=f"annotations CC BY 4.0; {_YOUTUBE}",
    ),
    ClipDataset(
        "msrvtt",
        "10,000 clips, 20 English captions each",
        "videodatainfo.json, train_val_videodatainfo.json and test_videodatainfo.json, "
        "MSRVTT_data.json or MSR_VTT.json, with TrainValVideo/ and TestVideo/ or videos/; "
        "MSRVTT_JSFUSION_test.csv selects the splits of 1k-A",
        reader=captioned.read_msrvtt,
    ),
    ClipDataset(
        "msvd",
        "1,970 clips, about 40 English captions each; the CSV has further languages (--language)",
        "YouTubeClips/ (named as in the descriptions, or vidN), AllVideoDescriptions.txt or the "
        "original CSV, and youtube_mapping.txt for the usual splits",
        language_reader=captioned.read_msvd,
    ),
    ClipDataset(
        "vatex",
        "35,000 clips, 10 English and 10 Chinese captions each (--language zh)",
        "vatex_training_v1.0.json and vatex_validation_v1.0.json with videos/",
        language_reader=captioned.read_vatex,
        license=f"captions CC BY 4.0; {_YOUTUBE}",
    ),
    ClipDataset(
        "activitynet-captions",
        "20,000 videos; each sentence describes a part of one",
        "train.json, val_1.json and val_2.json with videos/",
        reader=captioned.read_activitynet,
    ),
    ClipDataset(
        "charades",
        "9,848 clips of activities at home, with descriptions",
        "Charades_v1_train.csv and Charades_v1_test.csv with Charades_v1_480/",
        reader=captioned.read_charades,
    ),
    ClipDataset(
        "something-something",
        "220,847 clips of 174 actions with objects, with captions",
        "something-something-v2-train.json and -validation.json, with "
        "20bn-something-something-v2/ (.webm)",
        annotations=_BOTH,
        reader=corpora.read_something,
    ),
    ClipDataset(
        PREPARED,
        "clips that `wordreel prepare` has written",
        "its output folder",
        annotations=_BOTH,
    ),
)
