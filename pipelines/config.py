"""Every choice of a run, with its default: what recipes set and flags override."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from data.errors import UserError
from models.backbone_names import SMALL_CNN
from pipelines.crop import crop_box


def choice(
    group: str,
    default: Any,
    help: str,
    known: tuple[str, ...] | None = None,
    *,
    parts: tuple[str, ...] = (),
) -> Any:
    """Declare one field.

    Args:
        group: of its flag in the help.
        default: its value if neither recipe nor flag gives one.
        help: what it is.
        known: the values it may have, if these are few.
        parts: of which a task must have one for the field to be its option; none: all tasks.
    """
    metadata = {"group": group, "help": help, "known": known, "parts": parts}
    return dataclasses.field(default=default, metadata=metadata)


DECODERS = ("show-tell", "show-attend-tell", "updown")
POOLINGS = ("summary", "mean", "max", "attention")
GRIDS = ("mean", "places", "cells")
MOTIONS = ("none", "features", "pixels")
CELLS = ("rnn", "lstm", "gru")
IMAGE, VIDEO, TEXT, CAPTIONS, LABELS = ("image",), ("video",), ("text",), ("captions",), ("labels",)
PAIRS, SEEN, READ = ("pairs",), IMAGE + VIDEO, TEXT + VIDEO


@dataclasses.dataclass(frozen=True)
class Config:
    """The resolved configuration of a run; written to its directory as `config.json`."""

    task: str = choice("data", "image-captioning", "what to learn")
    data: str = choice("data", "scenes", "dataset: one of those listed above")
    source: str | None = choice("data", None, "folder with the dataset as its distributors ship it")
    train_split: str = choice("data", "train", "split to learn from, TFDS slices allowed")
    validation_split: str = choice("data", "validation", "split that picks the best epoch")
    test_splits: str = choice("data", "test", "splits scored at the end, with commas")
    max_bad: float = choice("data", 0.01, "largest share of examples that may be unusable")

    fold: int | None = choice(
        "data",
        None,
        "which official split of ucf101 or hmdb51; others are split anew by groups: which of five "
        "folds is tested on",
        parts=VIDEO,
    )
    languages: str | None = choice(
        "data", None, "from which to which, as the files' names end: en-de", parts=PAIRS
    )

    punctuation: bool = choice(
        "words", False, "let punctuation marks be words", parts=TEXT + CAPTIONS
    )
    min_count: int = choice("words", 5, "a word seen less often in training becomes <unk>")
    max_words: int = choice("words", 20, "what is longer is cut: sentences to learn, texts")
    embedding: int = choice("words", 128, "width of a word vector", parts=TEXT)
    affixes: bool = choice(
        "words", False, "let words that begin or end alike share a part of their vector", parts=TEXT
    )
    word_dropout: float = choice("words", 0.0, "share of words hidden in training", parts=TEXT)
    embedding_dropout: float | None = choice(
        "words", None, "share of word vectors' values dropped; none: as --dropout", parts=TEXT
    )
    variational_dropout: bool = choice(
        "words", False, "drop the same values of all words of a text", parts=TEXT
    )
    vectors: str | None = choice(
        "words",
        None,
        "a text file of word vectors to start from, as GloVe or fastText writes them",
        parts=TEXT,
    )

    backbone: str = choice(
        "encoder",
        "efficientnet-lite0",
        "dct, small-cnn, efficientnet-lite0..2, a keras.applications name, or a .keras file",
        parts=SEEN,
    )
    weights: str | None = choice(
        "encoder", None, "the backbone's weights: a file, or 'random'", parts=SEEN
    )
    image_size: int | None = choice(
        "encoder", None, "pixels a side; none: the backbone's own", parts=SEEN
    )
    flips: bool = choice(
        "encoder",
        False,
        "learn from mirrored pictures as well, of clips those not told of left or right",
        parts=SEEN,
    )
    fine_tune_from: int | None = choice(
        "encoder",
        None,
        "epoch (from 1) at which the backbone starts to learn; none: frozen",
        parts=SEEN,
    )
    fine_tune: str = choice(
        "encoder",
        "all",
        "how much of the backbone then learns: all, or what is above its last halving (faster)",
        ("all", "top"),
        parts=IMAGE,
    )
    fine_tune_rate: float = choice(
        "encoder", 1e-5, "the backbone's own highest learning rate", parts=SEEN
    )
    shift: int = choice(
        "encoder",
        0,
        "while the backbone learns, move pictures by up to so many pixels",
        parts=SEEN,
    )
    turn: float = choice(
        "encoder", 0.0, "while it learns, turn them by up to so many degrees", parts=SEEN
    )
    zoom: float = choice(
        "encoder", 0.0, "while it learns, 0.2: let them grow or shrink by up to 1.2", parts=SEEN
    )
    tint: float = choice(
        "encoder", 0.0, "while it learns, change their light by up to this share", parts=SEEN
    )
    captions_together: int = choice(
        "encoder",
        5,
        "captions that share a pass of their picture through a backbone that learns",
        parts=CAPTIONS,
    )
    firm_places: bool = choice(
        "encoder",
        False,
        "let grid cells know their place from the start, for telling left from right",
        parts=IMAGE,
    )
    sample_frames: int | None = choice(
        "encoder",
        None,
        "frames stored of a clip, evenly spread; none: see --sample-rate",
        parts=VIDEO,
    )
    sample_rate: float | None = choice(
        "encoder",
        None,
        "frames stored a second of a clip; with neither: as suits the dataset",
        parts=VIDEO,
    )
    clip_frames: int | None = choice(
        "encoder",
        None,
        "frames that the model sees of those stored, other ones each epoch; none: all",
        parts=VIDEO,
    )
    jitter: float = choice(
        "encoder",
        0.0,
        "while learning, let clips go up to so large a share slower or faster",
        parts=VIDEO,
    )
    crop: str | None = choice(
        "encoder",
        None,
        "the part of each frame that counts, as shares of its height and width: 'T:B,L:R'",
        parts=VIDEO,
    )
    frame_grid: str = choice(
        "encoder",
        "mean",
        "what is kept of the grid of a frame: its mean, what is where (places), or that and the "
        "cells themselves, for words to look at",
        GRIDS,
        parts=VIDEO,
    )
    motion: str = choice(
        "encoder",
        "none",
        "see how each frame differs from the last: in its features, or as a picture, in its pixels",
        MOTIONS,
        parts=VIDEO,
    )
    frame_norm: bool = choice(
        "encoder",
        False,
        "take features from their mean over the clip, and scale them: what moves, not who",
        parts=VIDEO,
    )
    frame_times: bool = choice(
        "encoder", False, "tell each frame when it is, for words to look for", parts=VIDEO
    )
    layers: int = choice(
        "encoder", 1, "recurrent layers that stand upon each other; 0: the mean", parts=READ
    )
    two_way: bool = choice("encoder", True, "read backwards as well", parts=READ)

    decoder: str = choice(
        "decoder", "show-attend-tell", "how words look at the input", DECODERS, parts=CAPTIONS
    )
    cell: str = choice(
        "model", "lstm", "what reads and writes sequences", CELLS, parts=READ + CAPTIONS
    )
    units: int = choice("model", 512, "hidden units of a cell; attention has half")
    dropout: float = choice("model", 0.5, "share of values dropped while training")
    pooling: str = choice(
        "model",
        "summary",
        "what stands for the whole: the end, or all items' mean, highest values or weighted mean",
        POOLINGS,
        parts=LABELS,
    )
    class_weights: bool = choice("model", False, "let rare classes count as much", parts=LABELS)

    epochs: int = choice("training", 10, "passes over the training examples, at most")
    batch_size: int = choice("training", 64, "sentences, texts or pictures in a step")
    accumulate: int = choice(
        "training", 1, "parts of a batch taken one after the other, where memory is short"
    )
    learning_rate: float = choice("training", 1e-3, "AdamW's highest rate, after the warm-up")
    warmup_steps: int = choice("training", 200, "steps of rising rate before the cosine falls")
    weight_decay: float = choice(
        "training", 0.01, "AdamW's decay, on all but biases, norms and firm places"
    )
    clip_norm: float = choice("training", 5.0, "largest global norm of the gradients")
    label_smoothing: float = choice(
        "training", 0.1, "share of the target spread over all words or classes"
    )
    scheduled_sampling: float = choice(
        "training",
        0.0,
        "share of input words taken from the model itself, reached at the end",
        parts=CAPTIONS,
    )
    ema: float = choice("training", 0.999, "decay of the averaged weights that are evaluated")
    precision: str = choice(
        "training", "auto", "of matrix products", ("auto", "float32", "bfloat16")
    )
    reward_epochs: int = choice(
        "training",
        0,
        "then so many epochs that raise the score of the model's own captions",
        parts=CAPTIONS,
    )
    reward_rate: float = choice(
        "training", 2e-5, "AdamW's highest rate in those epochs", parts=CAPTIONS
    )
    patience: int = choice("training", 3, "stop after so many epochs without a better score")
    seed: int = choice("training", 0, "of weights, order, dropout and mirrors")

    beams: int = choice("search", 5, "width of the beam search; 1 is greedy", parts=CAPTIONS)
    length_penalty: float = choice(
        "search", 1.0, "exponent of the length a score is divided by", parts=CAPTIONS
    )
    min_words: int = choice("search", 0, "shortest sentence", parts=CAPTIONS)
    no_repeat_ngram: int = choice(
        "search", 0, "no run of so many words twice; 0: allowed", parts=CAPTIONS
    )
    n_best: int = choice("search", 5, "sentences returned for an input", parts=CAPTIONS)

    def __post_init__(self) -> None:
        """Refuse values no run could use.

        Raises:
            UserError: naming the option, its rule and what came.
        """
        for field in dataclasses.fields(self):
            known, value = field.metadata["known"], getattr(self, field.name)
            if known and value not in known:
                raise UserError(f"{flag(field.name)} is one of {', '.join(known)}, not {value!r}")
        for name, (rule, ok) in _RULES.items():
            value = getattr(self, name)
            if value is not None and not ok(value):
                raise UserError(f"{flag(name)} must be {rule}, not {value}")
        crop_box(self.crop)
        if self.sample_frames and self.sample_rate:
            raise UserError("--sample-frames and --sample-rate: give one of the two")
        if self.min_words > self.max_words:
            raise UserError(
                f"--min-words must be at most --max-words ({self.max_words}), not {self.min_words}"
            )
        if self.n_best > self.beams:
            raise UserError(f"--n-best must be at most --beams ({self.beams}), not {self.n_best}")

    def tunes(self, epoch: int) -> bool:
        """Say whether the backbone learns in an epoch, counted from 0."""
        return self.fine_tune_from is not None and epoch + 1 >= self.fine_tune_from

    @property
    def from_scratch(self) -> bool:
        """Say whether the backbone's weights have been learned nowhere else."""
        return self.weights == "random" or (self.backbone == SMALL_CNN and self.weights is None)

    def to_json(self) -> str:
        """Return the fields as JSON, one a line."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))

    @property
    def hash(self) -> str:
        """Return 8 hex digits that differ for different configurations."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:8]


def flag(name: str) -> str:
    """Return a field's command-line flag.

    >>> flag("batch_size")
    '--batch-size'
    """
    return "--" + name.replace("_", "-")


_POSITIVE = ("at least 1", lambda x: x >= 1)
_COUNT = ("0 or more", lambda x: x >= 0)
_SHARE = ("at least 0 and below 1", lambda x: 0 <= x < 1)
_ABOVE_ZERO = ("above 0", lambda x: x > 0)
_RULES: dict[str, tuple[str, Any]] = {
    "max_bad": ("between 0 and 1", lambda x: 0 <= x <= 1),
    "fold": ("1 to 5", lambda x: 1 <= x <= 5),
    "min_count": _POSITIVE,
    "max_words": _POSITIVE,
    "image_size": ("at least 8", lambda x: x >= 8),
    "fine_tune_from": _POSITIVE,
    "fine_tune_rate": _ABOVE_ZERO,
    "shift": _COUNT,
    "turn": _COUNT,
    "zoom": _COUNT,
    "tint": _SHARE,
    "captions_together": _POSITIVE,
    "accumulate": _POSITIVE,
    "embedding": _POSITIVE,
    "layers": _COUNT,
    "sample_frames": _POSITIVE,
    "sample_rate": _ABOVE_ZERO,
    "clip_frames": _POSITIVE,
    "jitter": _SHARE,
    "units": _POSITIVE,
    "dropout": _SHARE,
    "word_dropout": _SHARE,
    "embedding_dropout": _SHARE,
    "epochs": _POSITIVE,
    "batch_size": _POSITIVE,
    "learning_rate": _ABOVE_ZERO,
    "warmup_steps": _COUNT,
    "weight_decay": _COUNT,
    "clip_norm": _ABOVE_ZERO,
    "label_smoothing": _SHARE,
    "scheduled_sampling": ("between 0 and 1", lambda x: 0 <= x <= 1),
    "ema": _SHARE,
    "reward_epochs": _COUNT,
    "reward_rate": _ABOVE_ZERO,
    "patience": _POSITIVE,
    "seed": ("0 to 2147483647", lambda x: 0 <= x < 2**31),
    "beams": _POSITIVE,
    "length_penalty": _COUNT,
    "min_words": _COUNT,
    "no_repeat_ngram": _COUNT,
    "n_best": _POSITIVE,
}
