"""Load an export, read files for it, and return its outputs row by row."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.common.errors import UserError
from data.media.images import BadImage, encode_jpeg, load_image
from data.media.sampling import Sampling
from data.media.video import sample
from pipelines.export.layout import find_version, read_info
from pipelines.preprocessing.frame_selection import select_frames

BATCH = 32
_INVALID = {
    "image_bytes": "not an image that can be decoded",
    "frame_bytes": "not a video clip that can be decoded",
    "text": "the text has no words",
}

# An image (path or encoded), a clip (path or encoded frames) or a text.
Item = Path | str | bytes | Sequence[bytes]
Outputs = dict[str, Any]  # arrays of one row by name


class ExportedModel:
    """A loaded SavedModel.

    Attributes:
        folder: of the version.
        info: its `assets.extra/wordreel.json`.
        input_name: image_bytes, frame_bytes or text.
    """

    def __init__(
        self, export: Path | str, signature: str = "serving_default", **inputs: float
    ) -> None:
        """Load an export.

        Args:
            export: a version, or a folder of versions or a run directory, whose newest is loaded.
            signature: the search: "serving_default" (beam), "greedy" or "sample".
            inputs: other inputs of the signature, one value for all rows.

        Raises:
            UserError: if there is no export, or it is damaged.
        """
        self.folder = find_version(Path(export))
        self.info = read_info(self.folder)
        try:
            # Held, because signatures do not keep the loaded object alive.
            self._model = tf.saved_model.load(str(self.folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"cannot load the export {self.folder}: {error}") from error
        self._signature = self._model.signatures[signature]
        specs = self._signature.structured_input_signature[1]
        (self.input_name,) = (name for name in specs if name in _INVALID)
        self._inputs = {
            name: tf.constant(value, specs[name].dtype, [1] * specs[name].shape.rank)
            for name, value in inputs.items()
        }

    def outputs(self, items: Iterable[Item]) -> list[Outputs | str]:
        """Compute the outputs of items in batches; an invalid item does not affect the others.

        Image formats that the export does not decode (WebP, TIFF, AVIF, …) are converted if Pillow
        reads them.

        Returns:
            For each item its outputs, with "items", the number of memory items used; or the reason
            why there are none.
        """
        items, results = iter(items), list[Outputs | str]()
        while batch := list(itertools.islice(items, BATCH)):
            results += self._batch(batch)
        return results

    def read(self, item: Item) -> Any:
        """Read an item as the export's input: encoded image, encoded frames or text.

        Raises:
            UserError: if the content cannot be read.
            OSError: if the file cannot be read.
        """
        if self.input_name == "text":
            return str(item)
        if self.input_name == "image_bytes":
            return item if isinstance(item, bytes) else Path(str(item)).read_bytes()
        if not isinstance(item, (str, Path)):
            return list(item)
        frames = sample(item, Sampling(**self.info["input"]["sampling"])).frames
        return [encode_jpeg(frame) for frame in frames]  # as in training

    def selected_frames(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return the encoded frames of a clip that the model uses."""
        chosen, _ = select_frames(np.array([len(frames)]), self.info["input"]["clip_frames"])
        return [frames[number] for number in chosen[0]]

    def _batch(self, items: Sequence[Item]) -> list[Outputs | str]:
        results: dict[int, Outputs | str] = {}
        encoded, converted = {}, {}
        for row, item in enumerate(items):
            try:
                encoded[row] = self.read(item)
            except OSError as error:
                results[row] = error.strerror or str(error)
            except UserError as error:
                results[row] = str(error)
        results |= self._run(encoded)
        for row, value in encoded.items():
            if isinstance(results[row], str) and self.input_name == "image_bytes":
                try:
                    converted[row] = load_image(value)
                except BadImage as error:
                    results[row] = str(error)
        results |= self._run(converted)
        return [results[row] for row in range(len(items))]

    def _run(self, encoded: Mapping[int, Any]) -> dict[int, Outputs | str]:
        """Return the outputs by row."""
        if not encoded:
            return {}
        given = tf.constant(_array(list(encoded.values())))
        outputs = self._signature(**{self.input_name: given}, **self._inputs)
        outputs = {name: output.numpy() for name, output in outputs.items()}
        limit = self.info["input"].get("clip_frames")
        return {
            row: {name: output[at] for name, output in outputs.items()}
            | {"items": min(len(value), limit or len(value))}
            if outputs["valid"][at]
            else _INVALID[self.input_name]
            for at, (row, value) in enumerate(encoded.items())
        }


def _array(rows: Sequence[Any]) -> np.ndarray:
    """Return strings as `[batch]`, sequences of strings as `[batch, time]`, padded with ""."""
    if isinstance(rows[0], (bytes, str)):
        return np.array(rows, object)
    array = np.full((len(rows), max(map(len, rows))), b"", object)
    for row, frames in zip(array, rows, strict=True):
        row[: len(frames)] = frames
    return array
