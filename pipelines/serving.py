"""Captions from an export: the client's side. Loads no training code and needs no Keras."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.errors import UserError
from data.images import BadPicture, load_picture
from data.vocabulary import END, Vocabulary

BATCH = 32
LAYOUT = "a folder with saved_model.pb, one with versions 1, 2, …, or a run directory"


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an export says of one picture.

    Attributes:
        captions: the best first; none if there is no answer.
        scores: of each, log P / length penalty.
        words: of the best caption.
        attention: float32 `[words, rows, columns]`, where the model looked for each word; 0 rows
            and columns from a model without attention.
        problem: why there is no answer, in a few words; None if there is one.
    """

    captions: list[str]
    scores: list[float]
    words: list[str]
    attention: np.ndarray
    problem: str | None = None

    @property
    def valid(self) -> bool:
        """Whether the picture could be read."""
        return self.problem is None


class Captioner:
    """Answers from an export.

    Attributes:
        folder: the version that answers.
        info: its `assets.extra/wordreel.json`.
        vocabulary: its words.
    """

    TAKES = "image_bytes"

    def __init__(
        self, export: Path | str, signature: str = "serving_default", **inputs: float
    ) -> None:
        """Load an export.

        Args:
            export: a version's folder, the folder of versions or a run directory; of several
                versions the newest is taken.
            signature: the search: "serving_default" (beam), "greedy" or "sample".
            inputs: what the signature takes besides pictures.

        Raises:
            UserError: if there is none, or its parts do not belong together.
        """
        self.folder = _find(Path(export))
        self.info, self.vocabulary = _read_description(self.folder)
        try:
            # Held, because signatures do not keep alive what they were loaded with.
            self._model = tf.saved_model.load(str(self.folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"cannot load the export {self.folder}: {error}") from error
        self._search = self._model.signatures[signature]
        specs = self._search.structured_input_signature[1]
        if self.TAKES not in specs:
            raise UserError(
                f"{self.folder} is an export of {self.info['task']}: it takes {', '.join(specs)}, "
                f"not {self.TAKES}"
            )
        self._inputs = {name: tf.constant(inputs[name], specs[name].dtype) for name in inputs}

    def caption(self, pictures: Iterable[Path | str | bytes]) -> list[Answer]:
        """Caption pictures, paths or encoded bytes, in batches.

        What the export itself does not decode (WebP, TIFF, AVIF, …) is converted first, if Pillow
        can. A picture that cannot be read gets an answer that says why, and hurts no other.
        """
        pictures, answers = iter(pictures), []
        while batch := list(itertools.islice(pictures, BATCH)):
            answers += self._batch(batch)
        return answers

    def _batch(self, pictures: list[Path | str | bytes]) -> list[Answer]:
        answers, encoded, converted = {}, {}, {}
        for row, picture in enumerate(pictures):
            try:
                encoded[row] = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
            except OSError as error:
                answers[row] = _no_answer(error.strerror or str(error))
        answers |= self._ask(encoded)
        for row in encoded:
            if not answers[row].valid:
                try:
                    converted[row] = load_picture(encoded[row]).jpeg
                except BadPicture as error:
                    answers[row] = _no_answer(str(error))
        answers |= self._ask(converted)
        return [answers[row] for row in range(len(pictures))]

    def _ask(self, encoded: Mapping[int, bytes]) -> dict[int, Answer]:
        """Return the export's answers by row."""
        if not encoded:
            return {}
        image_bytes = tf.constant(list(encoded.values()))
        outputs = self._search(image_bytes=image_bytes, **self._inputs)
        outputs = {name: output.numpy() for name, output in outputs.items()}
        return {
            row: self._answer({name: output[i] for name, output in outputs.items()})
            for i, row in enumerate(encoded)
        }

    def _answer(self, output: Mapping[str, Any]) -> Answer:
        """Turn the outputs for one picture into an answer."""
        if not output["valid"]:
            return _no_answer("not a picture that can be decoded")
        found = np.isfinite(output["scores"])
        words = [self.vocabulary.words[token] for token in output["tokens"][0] if token > END]
        attention = output["attention"][0, : len(words)]
        grid = self.info["input"]["grid"] if attention.shape[-1] else [0, 0]
        return Answer(
            [caption.decode() for caption in output["captions"][found]],
            output["scores"][found].tolist(),
            words,
            attention.reshape(len(words), *grid),
        )


def _no_answer(problem: str) -> Answer:
    return Answer([], [], [], np.zeros([0, 0, 0], np.float32), problem)


def _find(path: Path) -> Path:
    """Return the version's folder meant by `path`."""
    if not path.exists():
        raise UserError(f"there is no export at {path}: no such file or folder")
    if (path / "saved_model.pb").is_file():
        return path
    versions = [
        file.parent
        for parent in (path, path / "export")
        for file in parent.glob("*/saved_model.pb")
        if file.parent.name.isdigit()
    ]
    if not versions:
        raise UserError(f"{path} is no export: expected {LAYOUT} with export/ in it")
    return max(versions, key=lambda folder: int(folder.name))


def _read_description(folder: Path) -> tuple[dict[str, Any], Vocabulary]:
    """Return wordreel.json and the vocabulary, which must be the one it names."""
    try:
        info = json.loads((folder / "assets.extra" / "wordreel.json").read_text(encoding="utf-8"))
        if "vocabulary" not in info:
            raise UserError(f"{folder} is an export of {info['task']}: it answers in no words")
        vocabulary = Vocabulary.load(folder / "assets" / "vocabulary.txt")
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} is a SavedModel, but no export of Wordreel: {error.filename} is missing"
        ) from None
    if vocabulary.hash != info["vocabulary"]["hash"]:
        raise UserError(
            f"the vocabulary of {folder} was changed: its hash is {vocabulary.hash}, the model's "
            f"{info['vocabulary']['hash']}"
        )
    return info, vocabulary
