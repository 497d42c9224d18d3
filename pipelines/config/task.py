"""The six tasks: the input, the output and the datasets of each.

Three inputs (image, video, text) times two outputs (captions, labels). The classes that implement
them are registered in `pipelines.tasks.assembly`: this module does not import TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from data.images.datasets import IMAGE_DATASETS
from data.storage.dataset_info import Dataset, datasets_with
from data.text.datasets import PAIR_DATASETS, TEXT_DATASETS
from data.video.datasets import CLIP_DATASETS


@dataclasses.dataclass(frozen=True)
class Task:
    """The input, the output and the datasets of a task.

    Attributes:
        name: as on the command line.
        summary: input and output, in a few words.
        input: a key of `pipelines.tasks.assembly.SOURCES`: "image", "video" or "text".
        head: a key of `pipelines.tasks.assembly.HEADS`: "captions" or "labels".
        datasets: the datasets it can be trained on, by name.
        data: the default dataset.
        recipe: the default recipe, for datasets without one of their own.
        examples: commands with explanations, for the help.
        answer: the name of an export's main output.
        predict_command: a command that runs an export, with `{export}` for its folder.
        pairs: whether each text of a dataset comes with its translation.
    """

    name: str
    summary: str
    input: str
    head: str
    datasets: Mapping[str, Dataset]
    data: str
    recipe: str
    examples: str
    answer: str
    predict_command: str
    pairs: bool = False

    @property
    def provides(self) -> frozenset[str]:
        """What an option may require, see `pipelines.config.option.option`."""
        return frozenset({self.input, self.head, *(["pairs"] if self.pairs else [])})

    def uses(self, field: dataclasses.Field[Any]) -> bool:
        """Return whether a field of `Config` is an option of this task."""
        requirements: list[str] = field.metadata["requires"].split()
        return not requirements or any(
            self.provides.issuperset(each.split("+")) for each in requirements
        )


TASKS = {
    task.name: task
    for task in (
        Task(
            "image-captioning",
            "image → sentence",
            input="image",
            head="captions",
            datasets=datasets_with(IMAGE_DATASETS, "captions"),
            data="synthetic-scenes",
            recipe="photos",
            examples="""\
  python train.py
      synthetic scenes: minutes, no download
  python train.py image-captioning --data folder --source holiday
      your own images: holiday/images/ and holiday/captions.csv
  python train.py image-captioning --data flickr8k --source Flickr8k --seed 1 --run-dir runs/second
      Flickr8k with its recipe and another seed""",
            answer="caption",
            predict_command="wordreel caption {export} image.jpg",
        ),
        Task(
            "translation",
            "sentence → sentence",
            input="text",
            head="captions",
            pairs=True,
            datasets=datasets_with(PAIR_DATASETS, "translations"),
            data="synthetic-pairs",
            recipe="pairs",
            examples="""\
  python train.py translation
      synthetic English-German pairs: minutes, no download
  python train.py translation --data pairs --source corpus --languages en-de
      your own texts: corpus/train.en and corpus/train.de, one sentence a line
  python train.py translation --data multi30k --source multi30k --languages de-fr
      image captions, from German to French""",
            answer="translation",
            predict_command='wordreel translate {export} "…" --attention attention.png',
        ),
        Task(
            "video-captioning",
            "clip → sentence",
            input="video",
            head="captions",
            datasets=datasets_with(CLIP_DATASETS, "captions"),
            data="synthetic-clips",
            recipe="clips",
            examples="""\
  python train.py video-captioning
      synthetic clips of moving shapes: minutes, no download
  python train.py video-captioning --data clip-folder --source holiday
      your own clips: holiday/clips/ and holiday/captions.csv""",
            answer="caption",
            predict_command="wordreel caption {export} clip.mp4",
        ),
        Task(
            "action-recognition",
            "clip → label",
            input="video",
            head="labels",
            datasets=datasets_with(CLIP_DATASETS, "labels"),
            data="synthetic-clips",
            recipe="actions",
            examples="""\
  python train.py action-recognition
      synthetic clips of moving shapes: minutes, no download
  python train.py action-recognition --data clip-folder --source sports
      your own clips: sports/clips/ and sports/labels.csv""",
            answer="label",
            predict_command="wordreel classify {export} clip.mp4",
        ),
        Task(
            "image-classification",
            "image → label",
            input="image",
            head="labels",
            datasets=datasets_with(IMAGE_DATASETS, "labels"),
            data="digits",
            recipe="labeled-images",
            examples="""\
  python train.py image-classification
      handwritten digits: a minute or two, no download
  python train.py image-classification --data labeled-images --source flowers
      your own images: flowers/daisy/, flowers/rose/, … or images/ and labels.csv
  python train.py image-classification --data tfds:cifar10 --fine-tune-from 1
      a dataset of TensorFlow Datasets""",
            answer="label",
            predict_command="wordreel classify {export} image.jpg",
        ),
        Task(
            "text-classification",
            "sentence → label",
            input="text",
            head="labels",
            datasets=datasets_with(TEXT_DATASETS, "labels"),
            data="synthetic-reviews",
            recipe="texts",
            examples="""\
  python train.py text-classification
      synthetic reviews: a minute, no download
  python train.py text-classification --data texts --source letters --cell gru
      your own texts: letters/texts.csv with the columns text and label
  python train.py text-classification --data sst2 --source SST-2 --seed 1 --run-dir runs/second
      film reviews, with another seed""",
            answer="label",
            predict_command='wordreel classify {export} "…"',
        ),
    )
}
