"""Start a model from the weights of another run: by variable, and by word or class, not by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from data.common.errors import UserError
from data.media.vocabulary import Vocabulary
from models.encoder_head import EncoderHead
from pipelines.config.config import Config


class Rows(NamedTuple):
    """Where the rows of a variable come from, one per word, affix or class."""

    axis: int  # of the rows
    sources: np.ndarray  # int `[rows]`: the row in the other model, -1 for none


def load_vocabulary(path: Path, texts: Callable[[], Iterable[str]], config: Config) -> Vocabulary:
    """Return the vocabulary in a run directory; the first start of the run builds it.

    A run that starts from another one keeps the words of both.

    Args:
        path: of the file, which has the same name in all run directories.
        texts: returns the training texts.
        config: of the run.
    """
    if not path.exists():
        built = Vocabulary.build(texts(), config.min_count, punctuation=config.keep_punctuation)
        if config.init_from is not None:
            old = Vocabulary.load(Path(config.init_from) / path.name)
            new = (word for word in built.words if word not in old.ids)
            built = Vocabulary([*old.words, *new])
        built.save(path)
    return Vocabulary.load(path)


def match_rows(new: Sequence[str], old: Sequence[str]) -> np.ndarray:
    """Return the position in `old` of each name in `new`, -1 if it has none.

    >>> match_rows(["cat", "dog", "owl"], ["owl", "cat"])
    array([ 1, -1,  0])
    """
    positions = {name: number for number, name in enumerate(old)}
    return np.array([positions.get(name, -1) for name in new])


def match_affixes(new: Vocabulary, old: Vocabulary) -> np.ndarray:
    """Return the id in `old` of each prefix and suffix in `new`, -1 if it has none."""
    words = match_rows(new.words, old.words)
    known = words >= 0
    ids, old_ids = np.array(new.affixes()), np.array(old.affixes())
    sources = np.full(1 + ids.max(), -1)
    sources[ids[known]] = old_ids[words[known]]
    return sources


def copy_weights(new: EncoderHead, old: EncoderHead, rows: Mapping[str, Rows]) -> None:
    """Copy the weights of a model to another one of the same architecture.

    Args:
        new: the model to change; rows without a source keep their values.
        old: the model with the weights.
        rows: the variables whose rows are matched by name, by path.

    Raises:
        UserError: for a variable that `old` does not have, or has in another shape.
    """
    values = {path: variable.numpy() for path, variable in _variables(old).items()}
    for path, variable in _variables(new).items():
        value, own = values.get(path), rows.get(path)
        if value is None or _shape(value, own) != _shape(variable, own):
            found = "no such weights" if value is None else f"the shape {value.shape}"
            fix = "--image-size" if path.endswith("place") else "architecture"
            raise UserError(
                f"--init-from: the weights {path!r} have the shape {tuple(variable.shape)} here, "
                f"but the other run has {found}: choose the {fix} of that run"
            )
        variable.assign(value if own is None else _move_rows(variable.numpy(), value, *own))


def _shape(value: np.ndarray | keras.Variable, rows: Rows | None) -> list[int]:
    """Return a shape without the dimension whose rows are matched by name."""
    return [size for axis, size in enumerate(value.shape) if rows is None or axis != rows.axis]


def _move_rows(new: np.ndarray, old: np.ndarray, axis: int, sources: np.ndarray) -> np.ndarray:
    """Return `new` with the rows of `old` where a row has a source."""
    known = sources >= 0
    moved = np.moveaxis(new.copy(), axis, 0)
    moved[known] = np.moveaxis(old, axis, 0)[sources[known]]
    return np.moveaxis(moved, 0, axis)


def _variables(model: EncoderHead) -> dict[str, keras.Variable]:
    """Return the variables by part and path, the same for all models of an architecture."""
    found = {}
    for part, layer in (("encoder", model.encoder), ("head", model.head)):
        for variable in layer.weights:  # Keras numbers the layer itself, not those in it
            found[f"{part}/{variable.path.partition(f'{layer.name}/')[2]}"] = variable
    backbone: keras.Model | None = model.backbone
    if backbone is not None:
        for number, variable in enumerate(backbone.weights):  # Keras numbers its layers
            found[f"backbone/{number}/{variable.name}"] = variable
    return found
