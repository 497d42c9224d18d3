"""A task is a declared value: a source of inputs and a head that answers.

Three sources (image, video, text) × two heads (classifier, captions) are the six tasks. The
training loop, evaluation, export and report know only this declaration.
"""

from __future__ import annotations

import dataclasses

from pipelines.caption_head import CaptionHead
from pipelines.image_source import ImageSource


@dataclasses.dataclass(frozen=True)
class Task:
    """What a task reads and what it answers.

    Attributes:
        name: as on the command line.
        source: builds tables of inputs, and the encoder that turns them into a Memory.
        head: builds the layer that turns a Memory into answers, its batches and its scores.
    """

    name: str
    source: type[ImageSource]
    head: type[CaptionHead]


TASKS = {task.name: task for task in (Task("image-captioning", ImageSource, CaptionHead),)}
