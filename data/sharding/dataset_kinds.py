"""What can be prepared: how a dataset is listed, how one example is read, and what is stored.

Only names are known here; what reads and stores is imported when its turn comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from data.annotations.entries import Entry, Listing
from data.common.errors import UserError, unknown
from data.images.captioned import DATASETS, list_pictures
from data.images.labelled import LABELLED_PICTURES, list_labelled_pictures
from data.storage.dataset_info import DatasetInfo, source_folder
from data.text.datasets import PAIR_DATASETS, TEXT_DATASETS, list_texts
from data.text.parallel import Languages
from data.video.datasets import CLIP_DATASETS, default_sampling, list_clips

if TYPE_CHECKING:
    from data.storage.examples import Loaded

Options = Mapping[str, Any]  # JSON: what decides how an example is stored
# A plain JPEG that features alone are made of may be so many times as long as one that is stored:
# seen as when served, and, unless progressive, sooner than if it were shrunk and encoded first.
PLAIN = 2


class Pictures:
    """Pictures with captions, and the protocol of every kind.

    Attributes:
        unit: what messages call many.
        field: the name under which a picture, or frames, are stored; "" where none are.
        name: the name of the ids.
        most: examples in a shard.
        sides: what is told of an example; of several, an entry's captions are one of each.
        encoding: of what is stored as pictures.
        labelled: whether a label is all that is told of a picture.
        flags: the options of the command line that it has.
    """

    unit: ClassVar[str] = "pictures"
    field: ClassVar[str] = "image"
    name: ClassVar[str] = "image_id"
    most: ClassVar[int] = 128
    sides: ClassVar[tuple[str, ...]] = ("caption",)
    encoding: ClassVar[str] = "jpeg"
    labelled: ClassVar[bool] = False
    flags: frozenset[str] = frozenset({"image_size"})

    def options(self, dataset: str, given: Options) -> dict[str, Any]:
        """Return what decides how examples are stored.

        Args:
            dataset: its name.
            given: flags of the command line, and `pixels`, whether pictures are stored at all.
        """
        from data.media.images import MAX_SIDE

        size = given.get("image_size", MAX_SIDE)
        if size < 1:
            raise UserError(f"--image-size is at least 1 pixel, not {size}")
        plain = {} if given.get("pixels", True) else {"plain_side": PLAIN * size}
        return {"max_side": size, **plain}

    def listing(self, dataset: str, source: Path | None, options: Options) -> Listing:
        """Return what a source holds.

        Raises:
            UserError: for a source that is not in the expected layout.
        """
        assert source is not None
        return list_pictures(dataset, source)

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Read an example.

        Raises:
            UserError: saying in a few words why it cannot be decoded.
            OSError: if its file cannot be read.
        """
        from data.storage.examples import picture_of

        return picture_of(entry, labelled=self.labelled, **options)

    def features(self) -> dict[str, Any]:
        """Return what is stored, as TensorFlow Datasets declares it.

        Labels are texts, lest a new class change every shard.
        """
        from data.storage.builders import captions_feature, picture_features, texts_features

        told = texts_features(["label"]) if self.labelled else captions_feature()
        return picture_features(self.encoding, **told)

    def metadata(self, options: Options) -> dict[str, Any]:
        """Return what a dataset says of all its examples, JSON."""
        return {}


class LabelledPictures(Pictures):
    """Pictures with a label each."""

    sides, labelled = (), True

    def listing(self, dataset: str, source: Path | None, options: Options) -> Listing:
        """Return what a source holds."""
        assert source is not None
        return list_labelled_pictures(dataset, source)


class Digits(LabelledPictures):
    """The digits that come with Wordreel: an id names a line of their file."""

    encoding = "png"
    flags = frozenset()

    def options(self, dataset: str, given: Options) -> dict[str, Any]:
        """Return nothing: all is given."""
        return {}

    def listing(self, dataset: str, source: Path | None, options: Options) -> Listing:
        """Return the ids."""
        from data.builtin.digits import read_digits

        entries = (
            Entry(name, name, "", (), split, str(label))
            for split, found in read_digits().items()
            for name, label in zip(found.ids, found.labels, strict=True)
        )
        return Listing(tuple(entries), (), ())

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Draw it."""
        from data.storage.examples import Loaded, digit_of

        return Loaded(digit_of(entry.image_id), b"")


class Clips(Pictures):
    """Frames of clips, with captions, labels or both."""

    unit, field, name, most = "clips", "frames", "clip_id", 16
    flags = frozenset({"image_size", "frames", "rate"})

    def options(self, dataset: str, given: Options) -> dict[str, Any]:
        """Return the sampling of frames."""
        from data.media.sampling import Sampling

        sampling = asdict(default_sampling(dataset))
        if "frames" in given or "rate" in given:
            sampling |= {"count": given.get("frames"), "rate": given.get("rate")}
        if "image_size" in given:
            sampling["max_side"] = given["image_size"]
        return asdict(Sampling(**sampling))

    def listing(self, dataset: str, source: Path | None, options: Options) -> Listing:
        """Return what a source holds."""
        assert source is not None
        return list_clips(dataset, source)

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Read the chosen frames."""
        from data.media.sampling import Sampling
        from data.video.builders import clip_of

        return clip_of(entry, Sampling(**options))

    def features(self) -> dict[str, Any]:
        """Return what is stored."""
        from data.video.builders import clip_features

        return clip_features(self.encoding)

    def metadata(self, options: Options) -> dict[str, Any]:
        """Return which frames are stored."""
        from data.media.sampling import Sampling
        from data.video.builders import clip_metadata

        return clip_metadata(Sampling(**options))


class Scenes(Pictures):
    """Drawn scenes: an id is all that one is made of."""

    encoding = "png"
    flags = frozenset({"seed"})

    def options(self, dataset: str, given: Options) -> dict[str, Any]:
        """Return the seed."""
        return {"seed": given.get("seed", 0)}

    def listing(self, dataset: str, source: Path | None, options: Options) -> Listing:
        """Return the ids, with what is told of each."""
        from data.builtin import scenes

        entries = (
            Entry(name, name, "", tuple(scenes.generate_captions(scene)), split)
            for split in scenes.SPLITS
            for name, scene in scenes.synthetic_scenes(split, seed=options["seed"])
        )
        return Listing(tuple(entries), (), ())

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Draw it."""
        from data.builtin.scenes import scene_by_id
        from data.storage.examples import Loaded, scene_of

        return Loaded(scene_of(entry.image_id, scene_by_id(entry.image_id)), b"")


class DrawnClips(Clips):
    """Drawn clips: an id is all that one is made of."""

    encoding, flags, options = Scenes.encoding, Scenes.flags, Scenes.options

    def listing(self, dataset: str, source: Path | None, options: Options) -> Listing:
        """Return the ids, with what is told of each."""
        from data.builtin import clips

        entries = (
            Entry(name, name, "", tuple(clips.generate_captions(clip)), split, clip.action)
            for split in clips.SPLITS
            for name, clip in clips.synthetic_clips(split, seed=options["seed"])
        )
        return Listing(tuple(entries), (), ())

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Draw it."""
        from data.builtin.clips import clip_by_id
        from data.storage.examples import Loaded
        from data.video.builders import drawn_clip_of

        return Loaded(drawn_clip_of(entry.image_id, clip_by_id(entry.image_id)), b"")

    def metadata(self, options: Options) -> dict[str, Any]:
        """Return which frames are stored."""
        from data.video.builders import DRAWN, clip_metadata

        return clip_metadata(DRAWN)


class Texts(Pictures):
    """Labelled texts; their ids are file and line."""

    unit, field, name, most = "texts", "", "text_id", 4096
    sides: ClassVar[tuple[str, ...]] = ("text",)
    paired: ClassVar[bool] = False
    of_files: ClassVar[frozenset[str]] = frozenset()  # the flags of texts that are not made up

    def __init__(self, made: bool) -> None:
        """Say whether they are made up, from a seed."""
        self.flags = frozenset({"seed"}) if made else self.of_files

    def options(self, dataset: str, given: Options) -> dict[str, Any]:
        """Return the seed of made-up ones."""
        return {"seed": given.get("seed", 0)} if "seed" in self.flags else {}

    def listing(self, dataset: str, source: Path | None, options: Options) -> Listing:
        """Return the texts, each as the captions of its entry."""
        splits, _, problems, notes = list_texts(dataset, source, pairs=self.paired, **options)
        entries = tuple(
            Entry(
                text.text_id,
                text.text_id,
                "",
                tuple(getattr(text, side) for side in self.sides),
                split,
                getattr(text, "label", ""),
            )
            for split, texts in splits.items()
            for text in texts
        )
        return Listing(entries, tuple(problems), tuple(notes))

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Return it."""
        from data.storage.examples import Loaded, TextExample

        return Loaded(TextExample(entry.image_id, entry.captions[0], entry.label), b"")

    def features(self) -> dict[str, Any]:
        """Return what is stored."""
        from data.storage.builders import texts_features
        from data.storage.examples import TextExample

        return texts_features(TextExample._fields)


class Pairs(Texts):
    """Texts with their translations."""

    unit, sides, paired = "pairs", ("text", "translation"), True
    of_files = frozenset({"languages"})

    def options(self, dataset: str, given: Options) -> dict[str, Any]:
        """Return the languages, or the seed of made-up ones."""
        if "seed" in self.flags:
            return super().options(dataset, given)
        if languages := given.get("languages"):
            Languages.parse(languages)
        return {"languages": languages}

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Return it."""
        from data.storage.examples import Loaded, PairExample

        return Loaded(PairExample(entry.image_id, *entry.captions), b"")

    def features(self) -> dict[str, Any]:
        """Return what is stored."""
        from data.storage.builders import texts_features
        from data.storage.examples import PairExample

        return texts_features(PairExample._fields)


def preparable() -> dict[str, DatasetInfo]:
    """Return the datasets that can be prepared: those that are read from their own format."""
    every = {
        **DATASETS, **LABELLED_PICTURES, **CLIP_DATASETS, **TEXT_DATASETS, **PAIR_DATASETS
    }  # fmt: skip
    others = ("coco_captions", "tfds:NAME", "prepared")
    return {name: every[name] for name in every if name not in others}


def kind_of(dataset: str) -> Pictures:
    """Return how a dataset is prepared.

    Raises:
        UserError: if it does not exist, or is prepared by others.
    """
    if dataset == "coco_captions" or dataset.startswith("tfds:"):
        raise UserError(f"{dataset} is prepared by TFDS itself: train.py reads it as it is")
    if dataset not in preparable():
        raise unknown("dataset", dataset, preparable())
    made = preparable()[dataset].made
    if dataset in DATASETS:
        return Scenes() if made else Pictures()
    if dataset in LABELLED_PICTURES:
        return Digits() if made else LabelledPictures()
    if dataset in CLIP_DATASETS:
        return DrawnClips() if made else Clips()
    return Texts(made) if dataset in TEXT_DATASETS else Pairs(made)


def list_source(dataset: str, source: str | Path | None, options: Options) -> Listing:
    """Return what a source holds.

    Raises:
        UserError: for a source that is not there, or not in the expected layout.
    """
    folder = source_folder(preparable()[dataset], source)
    return kind_of(dataset).listing(dataset, folder, options)
