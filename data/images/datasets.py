"""The datasets of images, with captions or with a label each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from data.annotations.classes import classes_of
from data.annotations.entries import Annotations, Entry
from data.common.errors import UserError
from data.images.corpora import read_coco, read_flickr8k, read_flickr30k
from data.images.image_folder import read_folder
from data.images.labeled_images import read_labeled_images
from data.images.multi30k import read_multi30k
from data.storage.dataset_info import (
    GENERATED_LICENSE,
    OWN_LICENSE,
    PREPARED,
    Dataset,
    Generator,
    Loaded,
    Options,
)

# Without stored pixels, a plain JPEG may be this many times as large as a stored image: features
# are then computed from what an export receives, and the JPEG need not be encoded again.
_PLAIN_JPEG_SCALE = 2
_VERSION = 2  # of the stored form of image files: raise it when `data.media.images` changes


@dataclass(frozen=True, kw_only=True)
class ImageDataset(Dataset):
    """Images with captions, or with a label each; `reader` lists the images of a folder."""

    reader: Callable[[Path], Annotations] | None = None

    unit: ClassVar[str] = "images"
    content: ClassVar[str] = "image"
    id_feature: ClassVar[str] = "image_id"
    shard_size: ClassVar[int] = 128
    file_flags: ClassVar[frozenset[str]] = frozenset({"image_size"})

    @property
    def labeled(self) -> bool:
        """Whether an image has a label, not captions."""
        return "captions" not in self.annotations

    def file_options(self, given: Options) -> dict[str, Any]:
        """Return the size of stored images."""
        from data.media.images import MAX_SIDE

        size = given.get("image_size", MAX_SIDE)
        if size < 1:
            raise UserError(f"--image-size is at least 1 pixel, not {size}")
        plain = {} if given.get("pixels", True) else {"plain_side": _PLAIN_JPEG_SCALE * size}
        return {"max_side": size, **plain, "version": _VERSION}

    def read(self, source: Path, options: Options) -> Annotations:
        """Return the images of a folder."""
        del options
        assert self.reader is not None
        return self.reader(source)

    def check(self, annotations: Annotations) -> Annotations:
        """Check the splits; labels must be learnable."""
        if self.labeled:
            labels = ((each.split, each.image_id, each.label) for each in annotations.entries)
            classes_of(self.name, labels, "image")
        return super().check(annotations)

    def load(self, entry: Entry, options: Options) -> Loaded:
        """Return the image of an entry, and its captions or label."""
        from data.media.images import lacks_end, load_image, read_file

        remarks: tuple[str, ...] = ()
        if self.generator is not None and (render := self.generator().render):
            image = render(entry.image_id)
        else:
            data = read_file(entry.path, entry.place)
            image = load_image(
                data, max_side=options["max_side"], plain_side=options.get("plain_side")
            )
            remarks = ("JPEG without its end marker, used",) * lacks_end(data)
        values = (image, entry.image_id, entry.captions, entry.label)
        names = ("image", "image_id", "captions", "label")
        return Loaded(dict(zip(names, values, strict=True)), remarks)

    def features(self) -> dict[str, Any]:
        """Return the stored features. Labels are texts, so that a new class changes no shard."""
        import tensorflow_datasets as tfds

        text = tfds.features.Text()
        return {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format=self.encoding),
            "image_id": text,
            **({"label": text} if self.labeled else {"captions": tfds.features.Sequence(text)}),
        }


def _scenes() -> Generator:
    from data.builtin import scenes
    from data.builtin.caption_checker import is_true

    return Generator(
        scenes.entries,
        scenes.VERSION,
        scenes.render_png,
        is_true=lambda scene_id, caption: is_true(caption, scenes.scene_by_id(scene_id)),
    )


def _digits() -> Generator:
    from data.builtin import digits

    return Generator(digits.entries, digits.VERSION, digits.render_png, seeded=False)


_FLICKR = "photos of Flickr users, under terms of their own; for non-commercial research only"
_COCO = "captions CC BY 4.0; photos of Flickr users, under terms of their own"

IMAGE_DATASETS = (
    ImageDataset(
        "synthetic-scenes",
        "synthetic images of shapes with five correct captions each",
        "no files: generated from a seed",
        generator=_scenes,
        license=GENERATED_LICENSE,
    ),
    ImageDataset(
        "flickr8k",
        "8,000 photos, 5 English captions each",
        "Flickr8k.token.txt and Flickr_8k.{train,dev,test}Images.txt (or captions.txt, or "
        "dataset_flickr8k.json) with images/ or Flicker8k_Dataset/",
        reader=read_flickr8k,
        license=_FLICKR,
    ),
    ImageDataset(
        "flickr30k",
        "31,000 photos, 5 English captions each",
        "results_20130124.token or results.csv, and dataset_flickr30k.json for Karpathy's "
        "splits, with flickr30k-images/",
        reader=read_flickr30k,
        license=_FLICKR,
    ),
    ImageDataset(
        "coco",
        "123,000 photos, 5 English captions each",
        "dataset_coco.json with train2014/ and val2014/, or "
        "annotations/captions_{train,val}2017.json (or 2014) with train2017/ and val2017/",
        reader=read_coco,
        license=_COCO,
    ),
    ImageDataset(
        "coco_captions",
        "COCO as TensorFlow Datasets prepares it, in Karpathy's splits",
        "a TFDS data folder that contains coco_captions; without --source TFDS's own folder, "
        "into which it is downloaded (37 GB) if it is missing",
        source_optional=True,
        license=_COCO,
    ),
    *(
        ImageDataset(
            f"multi30k-{language}",
            f"{name} captions of those photos of Flickr8k or Flickr30k that you have",
            f"Multi30k's {{train,val,test}}.{language} (or .gz) and images.{{train,val,test}}"
            ".txt, with images/ or flickr30k-images/",
            reader=partial(read_multi30k, language=language),
        )
        for language, name in (("de", "German"), ("fr", "French"))
    ),
    ImageDataset(
        "folder",
        "your own images and captions, in any language",
        "images/ with captions.csv (columns image, caption and optionally split) or "
        'captions.jsonl ({"image": "a.jpg", "captions": ["…"], "split": "train"}); or '
        "metadata.jsonl beside the images, *.parquet, *.tar, or a JSON file in COCO's format",
        reader=read_folder,
        license=OWN_LICENSE,
    ),
    ImageDataset(
        "digits",
        "1,797 real handwritten digits of 8 × 8 pixels (Alpaydin & Kaynak 1998)",
        "no files: part of scikit-learn",
        annotations=("labels",),
        generator=_digits,
        license="CC BY 4.0 (Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49)",
    ),
    ImageDataset(
        "labeled-images",
        "your own images and labels",
        "a folder for each class (optionally in train/, validation/ and test/), or images/ with "
        "labels.csv (columns image, label and optionally split); or *.parquet, *.tar",
        annotations=("labels",),
        reader=read_labeled_images,
        license=OWN_LICENSE,
    ),
    ImageDataset(
        "tfds:NAME",
        "any image classification dataset of TensorFlow Datasets: tfds:mnist, tfds:cifar10, …",
        "a TFDS data folder that contains it; without --source TFDS's own folder, into which it "
        "is downloaded if it is missing",
        annotations=("labels",),
        source_optional=True,
    ),
    ImageDataset(
        PREPARED,
        "images that `wordreel prepare` has written",
        "its output folder",
        annotations=("captions", "labels"),
    ),
)
