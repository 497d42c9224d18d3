"""A task is a declared value: a source of inputs and a head that answers.

Three sources (image, video, text) × two heads (classifier, captions) are the six tasks. The
training loop, evaluation, export, report and command line know only this declaration. Sources and
heads are named, not imported, so that the command line answers at once.
"""

from __future__ import annotations

import dataclasses
import pkgutil
from collections.abc import Mapping
from typing import Any

from data.images.datasets import IMAGE_DATASETS
from data.storage.dataset_info import Dataset, serving
from data.text.datasets import PAIR_DATASETS, TEXT_DATASETS
from data.video.datasets import CLIP_DATASETS


@dataclasses.dataclass(frozen=True)
class Task:
    """What a task reads and what it answers.

    Attributes:
        name: as on the command line.
        summary: what goes in and what comes out.
        source: names the class that reads inputs and builds the encoder from them to a Memory.
        head: names the class that builds the layer from a Memory to answers, and scores them.
        parts: whose options it has, see `pipelines.config.config.choice`.
        datasets: what it can learn from.
        data: the dataset if none is named.
        recipe: where values come from for a dataset without a recipe of its own.
        examples: commands, each with what it does.
        answer: what an export calls its answer.
        ask: how to ask an export, with `{export}` for its folder.
        scores: names how answers are judged, a `pipelines.evaluation.metrics.Metrics`; labels
        need none.
    """

    name: str
    summary: str
    source: str
    head: str
    parts: frozenset[str]
    datasets: Mapping[str, Dataset]
    data: str
    recipe: str
    examples: str
    answer: str
    ask: str
    scores: str = ""

    def source_class(self) -> Any:
        """Import the source."""
        return pkgutil.resolve_name(self.source)

    def head_class(self) -> Any:
        """Import the head."""
        return pkgutil.resolve_name(self.head)

    def metrics(self) -> Any:
        """Import how answers are judged."""
        return pkgutil.resolve_name(self.scores)

    def uses(self, field: dataclasses.Field[Any]) -> bool:
        """Say whether a field of `Config` is an option of this task."""
        parts: list[str] = field.metadata["parts"].split()
        return not parts or any(self.parts.issuperset(part.split("+")) for part in parts)


TASKS = {
    task.name: task
    for task in (
        Task(
            "image-captioning",
            "picture → sentence",
            source="pipelines.tasks.image_source:ImageSource",
            head="pipelines.tasks.caption_head:CaptionHead",
            parts=frozenset({"image", "captions"}),
            datasets=serving(IMAGE_DATASETS, "captions"),
            data="synthetic-scenes",
            recipe="photos",
            examples="""\
  python train.py
      the drawn scenes: minutes, no download
  python train.py image-captioning --data folder --source holiday
      your own pictures: holiday/images/ and holiday/captions.csv
  python train.py image-captioning --data flickr8k --source Flickr8k --seed 1 --run-dir runs/second
      Flickr8k by its recipe, but for the seed""",
            answer="caption",
            ask="wordreel caption {export} picture.jpg",
            scores="pipelines.evaluation.metrics:CAPTIONS",
        ),
        Task(
            "translation",
            "sentence → sentence",
            source="pipelines.tasks.text_source:TextSource",
            head="pipelines.tasks.caption_head:CaptionHead",
            parts=frozenset({"text", "captions", "pairs"}),
            datasets=serving(PAIR_DATASETS, "translations"),
            data="synthetic-pairs",
            recipe="pairs",
            examples="""\
  python train.py translation
      English to German in a small grammar: minutes, no download
  python train.py translation --data pairs --source corpus --languages en-de
      your own texts: corpus/train.en and corpus/train.de, a sentence a line
  python train.py translation --data multi30k --source multi30k --languages de-fr
      captions, from German to French""",
            answer="translation",
            ask='wordreel translate {export} "…" --attention looked.png',
            scores="pipelines.evaluation.metrics.translation:TRANSLATIONS",
        ),
        Task(
            "video-captioning",
            "clip → sentence",
            source="pipelines.tasks.video_source:VideoSource",
            head="pipelines.tasks.caption_head:CaptionHead",
            parts=frozenset({"video", "captions"}),
            datasets=serving(CLIP_DATASETS, "captions"),
            data="synthetic-clips",
            recipe="clips",
            examples="""\
  python train.py video-captioning
      drawn shapes that move: minutes, no download
  python train.py video-captioning --data clip-folder --source holiday
      your own clips: holiday/clips/ and holiday/captions.csv""",
            answer="caption",
            ask="wordreel caption {export} clip.mp4",
            scores="pipelines.evaluation.metrics:CAPTIONS",
        ),
        Task(
            "action-recognition",
            "clip → label",
            source="pipelines.tasks.video_source:VideoSource",
            head="pipelines.tasks.label_head:LabelHead",
            parts=frozenset({"video", "labels"}),
            datasets=serving(CLIP_DATASETS, "labels"),
            data="synthetic-clips",
            recipe="actions",
            examples="""\
  python train.py action-recognition
      drawn shapes that move: minutes, no download
  python train.py action-recognition --data clip-folder --source sports
      your own clips: sports/clips/ and sports/labels.csv""",
            answer="label",
            ask="wordreel classify {export} clip.mp4",
        ),
        Task(
            "image-classification",
            "picture → label",
            source="pipelines.tasks.image_source:ImageSource",
            head="pipelines.tasks.label_head:LabelHead",
            parts=frozenset({"image", "labels"}),
            datasets=serving(IMAGE_DATASETS, "labels"),
            data="digits",
            recipe="labelled-images",
            examples="""\
  python train.py image-classification
      real hand-written digits: a minute or two, no download
  python train.py image-classification --data labelled-images --source flowers
      your own pictures: flowers/daisy/, flowers/rose/, … or images/ and labels.csv
  python train.py image-classification --data tfds:cifar10 --fine-tune-from 1
      a dataset of TensorFlow Datasets""",
            answer="label",
            ask="wordreel classify {export} picture.jpg",
        ),
        Task(
            "text-classification",
            "sentence → label",
            source="pipelines.tasks.text_source:TextSource",
            head="pipelines.tasks.label_head:LabelHead",
            parts=frozenset({"text", "labels"}),
            datasets=serving(TEXT_DATASETS, "labels"),
            data="synthetic-reviews",
            recipe="texts",
            examples="""\
  python train.py text-classification
      made-up reviews: a minute, no download
  python train.py text-classification --data texts --source letters --cell gru
      your own texts: letters/texts.csv with the columns text and label
  python train.py text-classification --data sst2 --source SST-2 --seed 1 --run-dir runs/second
      film reviews with another seed""",
            answer="label",
            ask='wordreel classify {export} "…"',
        ),
    )
}
