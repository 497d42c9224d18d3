"""Every choice of a run, with its default: what recipes set and flags override."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from data.common.errors import UserError
from models.backbones.names import SMALL_CNN
from pipelines.config.crop import crop_box


class Rule(NamedTuple):
    """What a number has to be: in words, and whether one is."""

    text: str
    holds: Callable[[Any], bool]


POSITIVE = Rule("at least 1", lambda x: x >= 1)
COUNT = Rule("0 or more", lambda x: x >= 0)
ABOVE_ZERO = Rule("above 0", lambda x: x > 0)
SHARE = Rule("at least 0 and below 1", lambda x: 0 <= x < 1)
WHOLE_SHARE = Rule("between 0 and 1", lambda x: 0 <= x <= 1)


def choice(
    group: str,
    default: Any,
    help: str,
    known: tuple[str, ...] | None = None,
    *,
    rule: Rule | None = None,
    parts: str = "",
) -> Any:
    """Declare a field of a dataclass.

    Args:
        group: of its flag in the help.
        default: its value if neither recipe nor flag gives one.
        help: what it is.
        known: the values it may have, if these are few.
        rule: what it has to be, if it is a number and not None.
        parts: of which a task must have one for the field to be its option, of "image+captions"
            both; none: all tasks.
    """
    metadata = {"group": group, "help": help, "known": known, "rule": rule, "parts": parts}
    return dataclasses.field(default=default, metadata=metadata)


DECODERS = ("show-tell", "show-attend-tell", "updown")
POOLINGS = ("summary", "mean", "max", "attention")
FRAME_POOLINGS = ("mean", "spatial", "spatial+cells")
MOTIONS = ("none", "features", "pixels")
CELLS = ("rnn", "lstm", "gru")
_words = partial(choice, "words", parts="text captions")
_text = partial(choice, "words", parts="text")
_seen = partial(choice, "encoder", parts="image video")
_clips = partial(choice, "encoder", parts="video")
_read = partial(choice, "encoder", parts="text video")
_training = partial(choice, "training")
_search = partial(choice, "search", parts="captions")


@dataclasses.dataclass(frozen=True)
class Config:
    """The resolved configuration of a run; written to its directory as `config.json`."""

    task: str = choice("data", "image-captioning", "what to learn")
    data: str = choice("data", "synthetic-scenes", "dataset: one of those listed above")
    source: str | None = choice("data", None, "folder with the dataset as its distributors ship it")
    train_split: str = choice("data", "train", "split to learn from, TFDS slices allowed")
    validation_split: str = choice("data", "validation", "split that picks the best epoch")
    test_splits: str = choice("data", "test", "splits scored at the end, with commas")
    max_bad: float = choice(
        "data", 0.01, "largest share of examples that may be unusable", rule=WHOLE_SHARE
    )

    fold: int | None = choice(
        "data",
        None,
        "which official split of ucf101 or hmdb51; others are split anew by groups: which of five "
        "folds is tested on",
        rule=Rule("1 to 5", lambda x: 1 <= x <= 5),
        parts="video",
    )
    languages: str | None = choice(
        "data", None, "from which to which, as the files' names end: en-de", parts="pairs"
    )

    keep_punctuation: bool = _words(False, "let punctuation marks be words")
    min_count: int = _words(5, "a word seen less often in training becomes <unk>", rule=POSITIVE)
    max_words: int = _words(20, "what is longer is cut: sentences to learn, texts", rule=POSITIVE)
    embedding_dim: int = _text(128, "width of a word vector", rule=POSITIVE)
    affix_embeddings: bool = _text(
        False, "let words that begin or end alike share a part of their vector"
    )
    word_dropout: float = _text(0.0, "share of words hidden in training", rule=SHARE)
    embedding_dropout: float | None = _text(
        None, "share of word vectors' values dropped; none: as --dropout", rule=SHARE
    )
    variational_dropout: bool = _text(False, "drop the same values of all words of a text")
    word_vectors: str | None = _text(
        None, "a text file of word vectors to start from, as GloVe or fastText writes them"
    )

    backbone: str = _seen(
        "efficientnet-lite0",
        "dct, small-cnn, efficientnet-lite0..2, a keras.applications name, or a .keras file",
    )
    weights: str = _seen(
        "auto",
        "the backbone's weights: 'imagenet', 'random' or a weights file; 'auto' is ImageNet, but "
        "random for small-cnn; a .keras file has its own",
    )
    image_size: int | None = _seen(
        None, "pixels a side; none: the backbone's own", rule=Rule("at least 8", lambda x: x >= 8)
    )
    flips: bool = _seen(
        False, "learn from mirrored pictures as well, of clips those not told of left or right"
    )
    fine_tune_from: int | None = _seen(
        None, "epoch (from 1) at which the backbone starts to learn; none: frozen", rule=POSITIVE
    )
    fine_tune_layers: str = choice(
        "encoder",
        "all",
        "how much of the backbone then learns: all, or what is above its last halving (faster)",
        ("all", "top"),
        parts="image",
    )
    fine_tune_learning_rate: float = _seen(
        1e-5, "the backbone's own highest learning rate", rule=ABOVE_ZERO
    )
    translation: int = _seen(
        0, "while the backbone learns, move pictures by up to so many pixels", rule=COUNT
    )
    rotation: float = _seen(0.0, "while it learns, turn them by up to so many degrees", rule=COUNT)
    zoom: float = _seen(
        0.0, "while it learns, 0.2: let them grow or shrink by up to 1.2", rule=COUNT
    )
    brightness: float = _seen(
        0.0, "while it learns, change their light by up to this share", rule=SHARE
    )
    captions_per_image: int = choice(
        "encoder",
        5,
        "captions that share a pass of their picture through a backbone that learns",
        rule=POSITIVE,
        parts="image+captions video+captions",
    )
    position_init: bool = choice(
        "encoder",
        False,
        "let grid cells know their place from the start, for telling left from right",
        parts="image",
    )
    sample_frames: int | None = _clips(
        None, "frames stored of a clip, evenly spread; none: see --sample-rate", rule=POSITIVE
    )
    sample_rate: float | None = _clips(
        None,
        "frames stored a second of a clip; with neither: as suits the dataset",
        rule=ABOVE_ZERO,
    )
    clip_frames: int | None = _clips(
        None,
        "frames that the model sees of those stored, other ones each epoch; none: all",
        rule=POSITIVE,
    )
    speed_jitter: float = _clips(
        0.0, "while learning, let clips go up to so large a share slower or faster", rule=SHARE
    )
    crop: str | None = _clips(
        None, "the part of each frame that counts, as shares of its height and width: 'T:B,L:R'"
    )
    frame_pooling: str = _clips(
        "mean",
        "what is kept of the grid of a frame: its mean, what is where (places), or that and the "
        "cells themselves, for words to look at",
        FRAME_POOLINGS,
    )
    motion: str = _clips(
        "none",
        "see how each frame differs from the last: in its features, or as a picture, in its pixels",
        MOTIONS,
    )
    frame_normalization: bool = _clips(
        False, "take features from their mean over the clip, and scale them: what moves, not who"
    )
    frame_time_embedding: bool = _clips(False, "tell each frame when it is, for words to look for")
    layers: int = _read(1, "recurrent layers that stand upon each other; 0: the mean", rule=COUNT)
    bidirectional: bool = _read(True, "read backwards as well")

    decoder: str = choice(
        "decoder", "show-attend-tell", "how words look at the input", DECODERS, parts="captions"
    )
    cell: str = choice(
        "model", "lstm", "what reads and writes sequences", CELLS, parts="text video captions"
    )
    units: int = choice("model", 512, "hidden units of a cell; attention has half", rule=POSITIVE)
    dropout: float = choice("model", 0.5, "share of values dropped while training", rule=SHARE)
    pooling: str = choice(
        "model",
        "summary",
        "what stands for the whole: the end, or all items' mean, highest values or weighted mean",
        POOLINGS,
        parts="labels",
    )
    class_weights: bool = choice("model", False, "let rare classes count as much", parts="labels")

    epochs: int = _training(10, "passes over the training examples, at most", rule=POSITIVE)
    batch_size: int = _training(64, "sentences, texts or pictures in a step", rule=POSITIVE)
    micro_batches: int = _training(
        1, "parts of a batch taken one after the other, where memory is short", rule=POSITIVE
    )
    learning_rate: float = _training(
        1e-3, "AdamW's highest rate, after the warm-up", rule=ABOVE_ZERO
    )
    warmup_steps: int = _training(200, "steps of rising rate before the cosine falls", rule=COUNT)
    weight_decay: float = _training(
        0.01, "AdamW's decay, on all but biases, norms and firm places", rule=COUNT
    )
    clip_norm: float = _training(5.0, "largest global norm of the gradients", rule=ABOVE_ZERO)
    label_smoothing: float = _training(
        0.1, "share of the target spread over all words or classes", rule=SHARE
    )
    scheduled_sampling: float = _training(
        0.0,
        "share of input words taken from the model itself, reached at the end",
        rule=WHOLE_SHARE,
        parts="captions",
    )
    ema_decay: float = _training(
        0.999, "decay of the averaged weights that are evaluated", rule=SHARE
    )
    precision: str = _training("auto", "of matrix products", ("auto", "float32", "bfloat16"))
    scst_epochs: int = _training(
        0,
        "then so many epochs that raise the score of the model's own captions",
        rule=COUNT,
        parts="captions",
    )
    scst_learning_rate: float = _training(
        2e-5, "AdamW's highest rate in those epochs", rule=ABOVE_ZERO, parts="captions"
    )
    patience: int = _training(3, "stop after so many epochs without a better score", rule=POSITIVE)
    seed: int = _training(
        0,
        "of weights, order, dropout and mirrors",
        rule=Rule("0 to 2147483647", lambda x: 0 <= x < 2**31),
    )

    beams: int = _search(5, "width of the beam search; 1 is greedy", rule=POSITIVE)
    length_penalty: float = _search(1.0, "exponent of the length a score is divided by", rule=COUNT)
    min_words: int = _search(0, "shortest sentence", rule=COUNT)
    no_repeat_ngram_size: int = _search(0, "no run of so many words twice; 0: allowed", rule=COUNT)
    n_best: int = _search(5, "sentences returned for an input", rule=POSITIVE)

    def __post_init__(self) -> None:
        """Refuse values no run could use.

        Raises:
            UserError: naming the option, its rule and what came.
        """
        for field in dataclasses.fields(self):
            known, rule = field.metadata["known"], field.metadata["rule"]
            name, value = flag(field.name), getattr(self, field.name)
            if known and value not in known:
                raise UserError(f"{name} is one of {', '.join(known)}, not {value!r}")
            if rule and value is not None and not rule.holds(value):
                raise UserError(f"{name} must be {rule.text}, not {value}")
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
        return self.weights == "random" or (self.backbone == SMALL_CNN and self.weights == "auto")

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
