"""A tiny model of clips: a real source and head, on a handful of clips of numbered frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.tasks.assembly import HEADS, Experiment, join
from pipelines.tasks.video_source import VideoSource
from tests.support.source_files import fill
from tests.support.video_files import write_clip

LENGTHS = (12, 3, 9, 12, 5, 12)


def clips(folder: Path) -> Path:
    """Write six clips with captions and labels, all in train and three also in validation."""
    (folder / "clips").mkdir(parents=True)
    labels, captions = ["file,label,split"], ["file,caption,split"]
    for split, first in (("train", 0), ("validation", 1000)):
        for number, length in enumerate(LENGTHS):
            start = first + 40 * number
            name = f"{split}-{number}.avi"
            write_clip(folder / "clips" / name, range(start, start + length))
            labels.append(f"{name},{'odd' if number % 2 else 'even'},{split}")
            captions.append(f"{name},a clip of {['three', 'left', 'one'][number % 3]} 狗,{split}")
    return fill(folder, {"labels.csv": "\n".join(labels), "captions.csv": "\n".join(captions)})


def tiny(task: str, folder: Path, **options: Any) -> Any:
    """Return an `Experiment` whose random weights give varied answers."""
    own = {"min_count": 1, "max_words": 5, "beams": 2, "n_best": 2}
    chosen: dict[str, Any] = {
        "backbone": "small-cnn",
        "image_size": 32,
        "sample_frames": 6,
        "clip_frames": 4,
        "units": 6,
        "dropout": 0.0,
        "batch_size": 4,
        **(own if task == "video-captioning" else {}),
        **options,
    }
    usual = {"data": "clip-folder", "source": str(folder / "source")}
    config = Config(task=task, **usual | chosen)
    if not (folder / "source").exists():
        clips(folder / "source")
    prepared = VideoSource.prepare(config)
    keras.utils.set_random_seed(5)
    (folder / "run").mkdir(exist_ok=True)
    head = HEADS[TASKS[task].head](config, prepared, folder / "run")
    source = VideoSource(config, prepared, folder / "run")
    model = join(config, source, head)
    for weight in [*model.encoder.weights, *model.head.weights]:
        weight.assign(3.0 * weight)
    return Experiment(config, model, source, head)
