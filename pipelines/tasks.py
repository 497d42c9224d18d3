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

from data.datasets import DATASETS, DatasetInfo
from data.labelled_pictures import LABELLED_PICTURES
from data.texts import TEXT_DATASETS


@dataclasses.dataclass(frozen=True)
class Task:
    """What a task reads and what it answers.

    Attributes:
        name: as on the command line.
        summary: what goes in and what comes out.
        source: names the class that reads inputs and builds the encoder from them to a Memory.
        head: names the class that builds the layer from a Memory to answers, and scores them.
        parts: whose options it has, see `pipelines.config.choice`.
        datasets: what it can learn from.
        data: the dataset if none is named.
        recipe: where values come from for a dataset without a recipe of its own.
        examples: commands, each with what it does.
        answer: what an export calls its answer.
        ask: how to ask an export, with `{export}` for its folder.
    """

    name: str
    summary: str
    source: str
    head: str
    parts: frozenset[str]
    datasets: Mapping[str, DatasetInfo]
    data: str
    recipe: str
    examples: str
    answer: str
    ask: str

    def source_class(self) -> Any:
        """Import the source."""
        return pkgutil.resolve_name(self.source)

    def head_class(self) -> Any:
        """Import the head."""
        return pkgutil.resolve_name(self.head)

    def uses(self, field: dataclasses.Field[Any]) -> bool:
        """Say whether a field of `Config` is an option of this task."""
        parts: tuple[str, ...] = field.metadata["parts"]
        return not parts or bool(self.parts & set(parts))


TASKS = {
    task.name: task
    for task in (
        Task(
            "image-captioning",
            "picture → sentence",
            source="pipelines.image_source:ImageSource",
            head="pipelines.caption_head:CaptionHead",
            parts=frozenset({"image", "captions"}),
            datasets=DATASETS,
            data="scenes",
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
        ),
        Task(
            "image-classification",
            "picture → label",
            source="pipelines.image_source:ImageSource",
            head="pipelines.label_head:LabelHead",
            parts=frozenset({"image", "labels"}),
            datasets=LABELLED_PICTURES,
            data="digits",
            recipe="pictures",
            examples="""\
  python train.py image-classification
      real hand-written digits: a minute or two, no download
  python train.py image-classification --data pictures --source flowers
      your own pictures: flowers/daisy/, flowers/rose/, … or images/ and labels.csv
  python train.py image-classification --data tfds:cifar10 --fine-tune-from 1
      a dataset of TensorFlow Datasets""",
            answer="label",
            ask="""\
python -c 'import tensorflow as tf; model = tf.saved_model.load("{export}");
answers = model.signatures["serving_default"];
print(answers(image_bytes=tf.constant([open("picture.jpg", "rb").read()])))'""",
        ),
        Task(
            "sentiment",
            "sentence → label",
            source="pipelines.text_source:TextSource",
            head="pipelines.label_head:LabelHead",
            parts=frozenset({"text", "labels"}),
            datasets=TEXT_DATASETS,
            data="opinions",
            recipe="texts",
            examples="""\
  python train.py sentiment
      made-up reviews: a minute, no download
  python train.py sentiment --data texts --source letters --cell gru
      your own texts: letters/texts.csv with the columns text and label
  python train.py sentiment --data sst2 --source SST-2 --seed 1 --run-dir runs/second
      film reviews with another seed""",
            answer="label",
            ask="""\
python -c 'import tensorflow as tf; model = tf.saved_model.load("{export}");
answers = model.signatures["serving_default"]; print(answers(text=tf.constant(["…"])))'""",
        ),
    )
}
