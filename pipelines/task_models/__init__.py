"""Keras models of the six tasks.

>>> from pipelines.task_models import ImageCaptioner, load_run
"""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.task_models.base import TaskModel
from pipelines.task_models.labels import ImageClassifier, TextClassifier, VideoClassifier
from pipelines.task_models.runs import load_run
from pipelines.task_models.sentences import ImageCaptioner, Translator, VideoCaptioner

__all__ = [
    "MODELS",
    "ImageCaptioner",
    "ImageClassifier",
    "TextClassifier",
    "Translator",
    "VideoCaptioner",
    "VideoClassifier",
    "load_run",
]

MODELS: Mapping[str, type[TaskModel]] = {
    model.task: model
    for model in (
        ImageCaptioner,
        VideoCaptioner,
        VideoClassifier,
        ImageClassifier,
        TextClassifier,
        Translator,
    )
}
