"""The configuration of a run: every option with its default, constraint and help text."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import partial
from typing import Any

from data.common.errors import UserError, unknown
from models.backbones.names import SMALL, starts_random
from pipelines.config.crop import crop_box
from pipelines.config.option import option
from pipelines.config.renamed import current_fields
from pipelines.runtime.numbers import (
    ABOVE_ZERO,
    BELOW_ONE,
    NON_NEGATIVE,
    POSITIVE,
    SEED,
    ZERO_TO_ONE,
    Constraint,
)

DECODERS = ("show-tell", "show-attend-tell", "updown")
POOLINGS = ("summary", "mean", "max", "attention")
FRAME_POOLINGS = ("mean", "spatial", "spatial+cells")
MOTIONS = ("none", "features", "pixels")
CELLS = ("rnn", "lstm", "gru")

_data = partial(option, "data")
_vocabulary = partial(option, "text", requires="text captions")
_text = partial(option, "text", requires="text")
_image = partial(option, "encoder", requires="image video")
_video = partial(option, "encoder", requires="video")
_recurrent_encoder = partial(option, "encoder", requires="text video")
_model = partial(option, "model")
_training = partial(option, "training")
_search = partial(option, "search", requires="captions")


@dataclasses.dataclass(frozen=True)
class Config:
    """The resolved configuration of a run, stored as `config.json` in the run directory."""

    task: str = _data("image-captioning", "task to train for")
    data: str = _data("synthetic-scenes", "name of the dataset")
    source: str | None = _data(None, "folder with the dataset in its original layout")
    train_split: str = _data("train", "training split; TFDS slices such as train[:90%] work")
    validation_split: str = _data("validation", "split that selects the best epoch")
    test_splits: str = _data("test", "comma-separated splits to evaluate after training")
    max_bad: float = _data(
        0.01, "largest share of unusable examples before the job stops", ZERO_TO_ONE
    )

    fold: int | None = _data(
        None,
        "number of the official split of ucf101 or hmdb51; for other datasets, the test fold of a "
        "5-fold split by group",
        Constraint("1 to 5", lambda x: 1 <= x <= 5),
        requires="video",
    )
    language: str | None = _data(
        None,
        "language of the captions of vatex (en, zh) or msvd (en, de, …); none: English",
        requires="video",
    )
    languages: str | None = _data(
        None, "source and target language, as in the file names: en-de", requires="pairs"
    )

    keep_punctuation: bool = _vocabulary(False, "keep punctuation marks as tokens")
    min_count: int = _vocabulary(
        5, "replace words that occur less often in training by <unk>", POSITIVE
    )
    max_words: int = _vocabulary(
        20, "maximum length in words; longer texts are truncated", POSITIVE
    )
    embedding_dim: int = _text(128, "dimension of the word embeddings", POSITIVE)
    affix_embeddings: bool = _text(False, "add embeddings of each word's prefix and suffix")
    word_dropout: float = _text(
        0.0, "share of input words replaced by <unk> in training", BELOW_ONE
    )
    embedding_dropout: float | None = _text(
        None, "dropout rate of the word embeddings; none: as --dropout", BELOW_ONE
    )
    variational_dropout: bool = _text(
        False, "use the same dropout mask at every time step of a text"
    )
    word_vectors: str | None = _text(
        None, "text file of pretrained word vectors (GloVe or fastText format)"
    )

    backbone: str = _image(
        "efficientnet-lite0",
        f"{', '.join(SMALL)}, efficientnet-lite0..2, a keras.applications name, or a .keras file",
    )
    weights: str = _image(
        "auto",
        "backbone weights: 'imagenet', 'random' or a weights file; 'auto' is ImageNet, but random "
        "for small-cnn; a .keras file contains its own",
    )
    image_size: int | None = _image(
        None,
        "input height and width in pixels; none: the backbone's default",
        Constraint("at least 8", lambda x: x >= 8),
    )
    flips: bool = _image(
        False,
        "augmentation: random horizontal flips; not of clips whose captions mention left or right",
    )
    fine_tune_from: int | None = _image(
        None, "first epoch (from 1) in which the backbone is trained; none: frozen", POSITIVE
    )
    fine_tune_layers: str = _image(
        "all",
        "backbone layers to fine-tune: all, or only those after the last downsampling (faster)",
        ("all", "top"),
        requires="image",
    )
    fine_tune_learning_rate: float = _image(1e-5, "peak learning rate of the backbone", ABOVE_ZERO)
    translation: int = _image(
        0, "augmentation while the backbone is trained: translate by up to N pixels", NON_NEGATIVE
    )
    rotation: float = _image(
        0.0, "augmentation while the backbone is trained: rotate by up to X degrees", NON_NEGATIVE
    )
    zoom: float = _image(
        0.0,
        "augmentation while the backbone is trained: scale by up to 1 + X, in or out",
        NON_NEGATIVE,
    )
    brightness: float = _image(
        0.0,
        "augmentation while the backbone is trained: change brightness by up to this share",
        BELOW_ONE,
    )
    captions_per_image: int = _image(
        5,
        "captions that share one forward pass of their image while the backbone is trained",
        POSITIVE,
        requires="image+captions video+captions",
    )
    position_init: bool = _image(
        False,
        "larger random initialization of the position embeddings of grid cells, no weight decay",
        requires="image",
    )
    sample_frames: int | None = _video(
        None, "evenly spaced frames to store per clip; none: see --sample-rate", POSITIVE
    )
    sample_rate: float | None = _video(
        None,
        "frames to store per second; default without --sample-frames: set by the dataset",
        ABOVE_ZERO,
    )
    clip_frames: int | None = _video(
        None,
        "frames per clip that the model reads, resampled in each epoch; none: all stored frames",
        POSITIVE,
    )
    speed_jitter: float = _video(
        0.0, "augmentation: change the speed of a clip by up to this share", BELOW_ONE
    )
    crop: str | None = _video(
        None, "crop of every frame, as shares of its height and width: 'T:B,L:R'"
    )
    frame_pooling: str = _video(
        "mean",
        "pooling of a frame's feature grid: mean; spatial (keeps positions); spatial+cells (also "
        "keeps the cells for attention)",
        FRAME_POOLINGS,
    )
    motion: str = _video(
        "none", "also encode differences of consecutive frames, of features or pixels", MOTIONS
    )
    frame_normalization: bool = _video(
        False, "subtract the clip's mean from the frame features and scale them"
    )
    frame_time_embedding: bool = _video(False, "add a sinusoidal time embedding to every frame")
    layers: int = _recurrent_encoder(
        1, "number of stacked recurrent layers; 0: average without recurrence", NON_NEGATIVE
    )
    bidirectional: bool = _recurrent_encoder(True, "encode in both directions")

    decoder: str = option(
        "decoder", "show-attend-tell", "decoder architecture", DECODERS, requires="captions"
    )
    cell: str = _model("lstm", "recurrent cell", CELLS, requires="text video captions")
    units: int = _model(512, "hidden units; attention has half as many", POSITIVE)
    dropout: float = _model(0.5, "dropout rate", BELOW_ONE)
    pooling: str = _model(
        "summary",
        "classifier input: final state, or mean, maximum or attention-weighted mean of all items",
        POOLINGS,
        requires="labels",
    )
    class_weights: bool = _model(
        False, "weight the loss by inverse class frequency", requires="labels"
    )

    init_from: str | None = _training(
        None,
        "run directory: start from its best weights, with its words and those of the new data",
    )
    epochs: int = _training(10, "maximum number of training epochs", POSITIVE)
    batch_size: int = _training(64, "examples per training step", POSITIVE)
    micro_batches: int = _training(
        1, "gradient accumulation: split each batch into N parts to save memory", POSITIVE
    )
    learning_rate: float = _training(1e-3, "peak learning rate of AdamW", ABOVE_ZERO)
    warmup_steps: int = _training(
        200, "steps of linear warm-up before the cosine decay", NON_NEGATIVE
    )
    weight_decay: float = _training(
        0.01, "weight decay of AdamW, except for biases and normalization", NON_NEGATIVE
    )
    clip_norm: float = _training(5.0, "maximum global norm of the gradient", ABOVE_ZERO)
    label_smoothing: float = _training(
        0.1, "label smoothing: share of the target spread over all classes", BELOW_ONE
    )
    scheduled_sampling: float = _training(
        0.0,
        "probability of feeding the decoder its own prediction, rises from 0 to X at the end",
        ZERO_TO_ONE,
        requires="captions",
    )
    ema_decay: float = _training(
        0.999, "decay of the exponential moving average of the weights", BELOW_ONE
    )
    precision: str = _training(
        "auto", "data type of matrix products", ("auto", "float32", "bfloat16")
    )
    scst_epochs: int = _training(
        0,
        "additional epochs of self-critical training (SCST) on CIDEr-D + BLEU-4",
        NON_NEGATIVE,
        requires="captions",
    )
    scst_learning_rate: float = _training(
        2e-5, "peak learning rate of self-critical training", ABOVE_ZERO, requires="captions"
    )
    patience: int = _training(3, "early stopping: epochs without a better score", POSITIVE)
    monitor: str | None = _training(
        None,
        "validation score that selects the best epoch and stops early, or loss; none: the main "
        "score of the task",
    )
    small_data: bool = _training(
        False,
        "preset for fewer than 500 training examples, chosen automatically: every word is kept, "
        "features are frozen, no SCST, more regularization",
    )
    seed: int = _training(0, "random seed of weights, order, dropout and augmentation", SEED)

    beams: int = _search(5, "beam width; 1 is greedy search", POSITIVE)
    length_penalty: float = _search(
        1.0, "exponent of the length by which a score is divided; 0: none", NON_NEGATIVE
    )
    min_words: int = _search(0, "minimum length of a sentence in words", NON_NEGATIVE)
    no_repeat_ngram_size: int = _search(
        0, "no n-gram of this size occurs twice; 0: no restriction", NON_NEGATIVE
    )
    n_best: int = _search(5, "sentences returned for each input, best first", POSITIVE)

    def __post_init__(self) -> None:
        """Check every value; raise a UserError for an invalid one."""
        for field in dataclasses.fields(self):
            check_value(field, getattr(self, field.name), flag(field.name))
        crop_box(self.crop)
        if self.sample_frames and self.sample_rate:
            raise UserError(
                "--sample-frames and --sample-rate exclude each other: give one of them"
            )
        if self.min_words > self.max_words:
            raise UserError(
                f"--min-words must be at most --max-words ({self.max_words}), not {self.min_words}"
            )
        if self.n_best > self.beams:
            raise UserError(f"--n-best must be at most --beams ({self.beams}), not {self.n_best}")

    def tunes(self, epoch: int) -> bool:
        """Return whether the backbone is trained in an epoch, counted from 0."""
        return self.fine_tune_from is not None and epoch + 1 >= self.fine_tune_from

    @property
    def from_scratch(self) -> bool:
        """Whether the backbone starts from random weights."""
        return starts_random(self.backbone, self.weights)

    def to_json(self) -> str:
        """Return the fields as JSON, one per line."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Return the configuration that `to_json` wrote, now or in version 0.1.

        Raises:
            ValueError: if the text is not a JSON object.
            TypeError: for an unknown field.
            UserError: for an invalid value.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("not a JSON object")
        return cls(**current_fields(fields))

    @property
    def hash(self) -> str:
        """Return 8 hexadecimal digits that identify the configuration."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:8]


def check_value(field: dataclasses.Field[Any], value: Any, name: str) -> None:
    """Raise a UserError that names the option if a value of a field is not allowed."""
    allowed = field.metadata["allowed"]
    if isinstance(allowed, Constraint):
        if value is not None and not allowed.is_met(value):
            raise UserError(f"{name} must be {allowed.description}, not {value}")
    elif allowed and value not in allowed:
        raise unknown(name, value, allowed)


def flag(name: str) -> str:
    """Return the command-line option of a field.

    >>> flag("batch_size")
    '--batch-size'
    """
    return "--" + name.replace("_", "-")
