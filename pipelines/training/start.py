"""What a run is about to do, for the screen, and what it runs on, for the report."""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf

from data.media.vocabulary import UNKNOWN, Vocabulary
from pipelines.runtime.version import versions
from pipelines.tasks.assembly import Experiment
from pipelines.tasks.caption_head import CaptionHead
from pipelines.tasks.text_source import TextSource

SAMPLE = 20_000  # texts of a split whose words are looked up


def summary(experiment: Experiment, folder: Path) -> Iterator[str]:
    """Yield lines about the run in a folder: hardware, model, data, vocabulary, steps."""
    config, splits = experiment.config, experiment.source.prepared.splits
    steps = experiment.steps_per_epoch()
    stage = f", then {config.scst_epochs} of SCST" if config.scst_epochs else ""
    sizes = ", ".join(f"{name} {size:,}" for name, size in splits.items())
    yield f"run         {folder}"
    yield f"device      {device()}"
    yield f"model       {_parameters(experiment)}"
    yield f"data        {sizes}; scored: {', '.join(experiment.test_splits)}"
    for name, vocabulary, texts in _texts(experiment):
        yield f"vocabulary  {name}: {len(vocabulary):,} words, <unk> {_unknown(vocabulary, texts)}"
    yield (
        f"steps       at most {config.epochs} epochs of {steps:,} with {config.batch_size} "
        f"examples each, {config.epochs * steps:,} in all{stage}"
    )


def facts(seconds: float, resumed: bool) -> dict[str, str]:
    """Return what the report says about a process: its duration, hardware and versions."""
    since = " since the run was last resumed" if resumed else ""
    duration = f"{datetime.timedelta(seconds=round(seconds))}{since}"
    return {"Duration": duration, "Hardware": device(), **versions()}


def device() -> str:
    """Return the GPUs of this process, else its processor and the cores that it may use."""
    if gpus := tf.config.list_physical_devices("GPU"):
        names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
        return ", ".join(name or "GPU" for name in names)
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", path.read_text() if path.exists() else "", re.M)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{found[1] if found else 'CPU'}, {cores} core{'s' * (cores != 1)}"


def _parameters(experiment: Experiment) -> str:
    """Return the number of parameters of each part, and how many are trained."""
    source, layer = experiment.source, experiment.head.layer
    parts: dict[str, keras.layers.Layer] = {"encoder": source.encoder, "head": layer}
    tuned = experiment.config.fine_tune_from is not None
    if source.backbone is not None:
        parts = {"backbone": source.backbone, **parts}
    total = trained = 0
    texts = []
    for name, part in parts.items():
        frozen = name == "backbone" and not tuned
        own = 0 if frozen else sum(math.prod(each.shape) for each in part.trainable_variables)
        total, trained = total + part.count_params(), trained + own
        texts.append(f"{name} {part.count_params():,}{' (frozen)' * frozen}")
    return f"{', '.join(texts)} parameters; {trained:,} of {total:,} are trained"


def _texts(experiment: Experiment) -> Iterator[tuple[str, Vocabulary, dict[str, list[str]]]]:
    """Yield each vocabulary with the training and validation texts that it encodes."""
    config, source, head = experiment.config, experiment.source, experiment.head
    splits = (config.train_split, config.validation_split)
    if isinstance(source, TextSource):
        texts = {split: [text for _, text in source.prepared.texts(split)] for split in splits}
        yield "input", source.vocabulary, texts
    if isinstance(head, CaptionHead):
        yield "output", head.vocabulary, {split: head.texts(split) for split in splits}


def _unknown(vocabulary: Vocabulary, texts: dict[str, list[str]]) -> str:
    """Return the share of words that the vocabulary lacks, by split."""
    shares = []
    for split, own in texts.items():
        sample = own[:: 1 + len(own) // SAMPLE]
        ids = [number for text in sample for number in vocabulary.encode(text)[1:-1]]
        shares.append(f"{ids.count(UNKNOWN) / max(1, len(ids)):.1%} of {split}")
    return ", ".join(shares)
