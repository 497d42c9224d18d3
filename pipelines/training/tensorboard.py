"""What TensorBoard shows of a run: samples with predictions, hyperparameters, a profile.

The scalars are those of `pipelines.training.trainer`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import itertools
import textwrap
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw
from tensorboard.plugins.hparams import api as hparams

from data.common.errors import UserError
from pipelines.config.config import Config
from pipelines.config.task import TASKS
from pipelines.reports.thumbnails import SIDE, strip
from pipelines.tasks.assembly import Experiment, RawInput, raw_inputs
from pipelines.tasks.protocols import Evaluation

SAMPLES = 6  # examples of the validation split
FIRST_STEP, PROFILED_STEPS = 3, 5  # the first steps build the graphs


class SampleLog:
    """Writes examples of the validation split with what the model predicts for them."""

    def __init__(self, experiment: Experiment) -> None:
        """Read no example yet."""
        self._experiment = experiment
        self._inputs: dict[str, RawInput] | None = None

    def write(self, evaluation: Evaluation) -> None:
        """Write the samples to the default writer: a table, and an image of each image or clip."""
        samples = evaluation.samples(SAMPLES)
        if self._inputs is None:
            self._inputs = self._read({name for name, _, _ in samples}, evaluation.split)
        rows = ["| example | prediction | reference |", "|---|---|---|"]
        for number, (name, prediction, reference) in enumerate(samples, start=1):
            value = self._inputs.get(name)
            shown = value if isinstance(value, str) else name
            cells = (each.replace("|", "\\|") for each in (shown, prediction, reference))
            rows.append(f"| {' | '.join(cells)} |")
            if isinstance(value, (bytes, list)):
                encoded = value if isinstance(value, bytes) else strip(value)
                tf.summary.image(f"val/sample {number}", _captioned(encoded, prediction))
        tf.summary.text("val/samples", "\n".join(rows))

    def _read(self, names: set[str], split: str) -> dict[str, RawInput]:
        """Return the inputs of some examples; none if a dataset has only features."""
        prepared = self._experiment.source.prepared
        if not getattr(prepared, "has_pixels", lambda: True)():
            return {}
        found = (pair for pair in raw_inputs(prepared, split) if pair[0] in names)
        return dict(itertools.islice(found, len(names)))


def _captioned(encoded: bytes, text: str) -> np.ndarray:
    """Return an image above a text, uint8 `[1, height, width, 3]`."""
    image = Image.open(io.BytesIO(encoded)).convert("RGB")
    scale = SIDE / max(image.size)
    image = image.resize([max(1, round(side * scale)) for side in image.size])
    lines = textwrap.wrap(text, 48) or [""]
    canvas = Image.new("RGB", (SIDE, image.height + 14 * len(lines) + 6), "white")
    canvas.paste(image)
    ImageDraw.Draw(canvas).multiline_text((3, image.height + 2), "\n".join(lines), fill="black")
    return np.asarray(canvas)[np.newaxis]


def write_hyperparameters(config: Config) -> None:
    """Write the options that a task uses to the default writer, for the tab HParams."""
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if TASKS[config.task].uses(field)
    }
    named = {name: "none" if value is None else value for name, value in values.items()}
    hparams.hparams(named, trial_id=config.hash)


def write_scores(folder: Path, scores: Mapping[str, Mapping[str, float]], step: int) -> None:
    """Write the scores of each split at the end of a run, the metrics of the tab HParams."""
    with tf.summary.create_file_writer(str(folder)).as_default(step=step):
        for split, values in scores.items():
            for name, value in values.items():
                tf.summary.scalar(f"{split}/{name.lower()}", value)


class Profiler(keras.callbacks.Callback):
    """Records a few training steps for the tab Profile."""

    def __init__(self, folder: Path) -> None:
        """Profile into a folder of TensorBoard.

        Raises:
            UserError: if TensorBoard could not show the profile.
        """
        plugins = ("tensorboard_plugin_profile", "xprof")
        if not any(map(importlib.util.find_spec, plugins)):
            raise UserError(
                "--profile needs the profiler plugin of TensorBoard: "
                "pip install tensorboard-plugin-profile"
            )
        super().__init__()
        self._folder, self._steps = folder, 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Count a step that is done; start or stop recording."""
        del batch, logs
        self._steps += 1
        if self._steps == FIRST_STEP:
            tf.profiler.experimental.start(str(self._folder))
        elif self._steps == FIRST_STEP + PROFILED_STEPS:
            self._stop()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Stop recording if there were fewer steps."""
        del logs
        if FIRST_STEP <= self._steps < FIRST_STEP + PROFILED_STEPS:
            self._stop()

    def _stop(self) -> None:
        tf.profiler.experimental.stop()
        print(f"  profile of {self._steps - FIRST_STEP} steps in {self._folder}")
        self._steps = FIRST_STEP + PROFILED_STEPS
