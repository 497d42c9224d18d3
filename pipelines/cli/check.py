"""`wordreel check`: what a dataset contains, and what is wrong with it."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.annotations.entries import Annotations, Entry
from data.common.errors import UserError
from data.common.files import atomic_write
from data.sharding.datasets import PREPARABLE, load_annotations, preparable
from data.storage.cache import data_home, source_cache
from data.storage.dataset_info import Dataset, source_folder
from pipelines.cli.prepare import add_source_arguments, dataset_options
from pipelines.config import small_data
from pipelines.config.config import Config, flag
from pipelines.config.recipe import recipe_of
from pipelines.config.task import TASKS
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import POSITIVE, Constraint, add_number

if TYPE_CHECKING:
    from data.sharding.annotation_checks import Tally
    from data.sharding.findings import Example, Finding
    from data.sharding.split_checks import Image
    from pipelines.reports.gallery import Card

SUMMARY = "check a dataset: annotations, splits, duplicates, labels, languages, images"
CARDS = 100  # of a finding on the page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", metavar="DATASET", help=f"one of {', '.join(PREPARABLE)}")
    add_source_arguments(parser)
    bits = Constraint("between 0 and 32", lambda x: 0 <= x <= 32)
    text = "near-duplicates: images whose perceptual hashes differ in at most N of 64 bits"
    add_number(parser, "--near", int, bits, text, 4)
    text = "count rarer words as <unk> (default: as train.py with its recipe)"
    add_number(parser, "--min-count", int, POSITIVE, text)
    text = "also list labels that are probably wrong, by a cross-validated simple classifier"
    parser.add_argument("--mislabeled", action="store_true", help=text)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    text = "also write an HTML page with the images"
    parser.add_argument("--html", type=Path, metavar="FILE", help=text)


def run(given: argparse.Namespace) -> int:
    """Print what is found; return 1 if there is a warning, else 0."""
    dataset = preparable(given.dataset)
    options = dataset_options(dataset, given)
    source = source_folder(dataset, given.source)
    cache = source_cache(data_home(), given.dataset, source)
    annotations = load_annotations(given.dataset, source, options, cache)
    config = _config(dataset, annotations.entries, given)
    from data.sharding.findings import as_text

    findings = list(_findings(given, dataset, annotations, config))
    warnings = sum(finding.warning for finding in findings)
    text = f"{dataset.name}\n{as_text(findings)}{warnings:,} warning{'s' * (warnings != 1)}\n"
    if given.json:
        record = {"dataset": dataset.name, "source": given.source, "warnings": warnings}
        found = [finding.to_json() for finding in findings]
        print(json.dumps({**record, "findings": found}, ensure_ascii=False, indent=2))
    else:
        print(text, end="")
    if given.html is not None:
        _write_page(given.html, dataset, text, findings)
    return int(warnings > 0)


def _config(dataset: Dataset, entries: Sequence[Entry], given: argparse.Namespace) -> Config:
    """Return the configuration with which train.py would train on a dataset."""
    tasks = [task for task in TASKS.values() if dataset.name in task.datasets]
    task = tasks[0 if any(entry.captions for entry in entries) else -1]  # clips have both
    recipe = recipe_of(task, dataset.name)
    config, few = recipe.config, small_data.count_training(entries) < small_data.LIMIT
    if recipe.name == task.recipe and not dataset.generated and few:
        config = small_data.with_preset(config)
    if given.min_count is not None:
        return Config(**{**vars(config), "min_count": given.min_count})
    return config


def _findings(
    given: argparse.Namespace, dataset: Dataset, annotations: Annotations, config: Config
) -> Iterator[Finding]:
    from data.sharding.annotation_checks import Tally, TextOptions, problem_findings
    from data.sharding.findings import Finding
    from data.sharding.split_checks import (
        copied_findings,
        find_pairs,
        image_findings,
        pair_findings,
    )

    entries = annotations.entries
    options = TextOptions(config.min_count, config.max_words, config.keep_punctuation)
    tally = Tally(dataset.unit, dataset.texts, options)
    for entry in entries:
        tally.add(entry)
    text = f"{annotations.total:,} {dataset.unit} are listed, {len(entries):,} can be used"
    yield Finding("Annotations", "total", text, values={"total": annotations.total})
    yield from problem_findings(annotations.problems)
    yield from tally.findings()
    images, rate = _read_images(given, dataset, entries)
    yield from image_findings(entries, images)
    pairs = find_pairs(entries, images, near=given.near, unit=dataset.unit[:-1])
    yield from pair_findings(pairs)
    paired = len(dataset.texts) > 1
    if not dataset.generated and (paired or not any(entry.label for entry in entries)):
        yield from copied_findings(entries, paired)
    if given.mislabeled:
        yield from _mislabeled(entries, images)
    yield from _training(config, tally, rate)
    if images:
        frames = 1 if dataset.unit == "images" else dataset_options(dataset, given)["count"]
        yield _encoding(config, len(images) * (frames or 0))


def _read_images(
    given: argparse.Namespace, dataset: Dataset, entries: Sequence[Entry]
) -> tuple[list[Image | str], float]:
    """Decode the images of files; return them and the images per second."""
    if not dataset.content or dataset.generated:
        return [], 0.0
    from data.common.progress import progress
    from data.sharding.mislabeled import image_features
    from data.sharding.split_checks import read_images

    if dataset.unit == "images":
        quiet_tensorflow()  # images are decoded as for training
    began = time.perf_counter()
    with progress(len(entries), "decoding", dataset.unit) as bar:
        images = read_images(dataset, entries, bar, image_features if given.mislabeled else None)
    return images, len(entries) / max(1e-9, time.perf_counter() - began)


def _mislabeled(entries: Sequence[Entry], images: Sequence[Image | str]) -> Iterator[Finding]:
    import numpy as np

    from data.sharding.mislabeled import mislabeled_findings, text_features

    if images:
        pairs = zip(entries, images, strict=True)
        known = [(e, i.features) for e, i in pairs if e.label and not isinstance(i, str)]
        rows, features = [entry for entry, _ in known], np.array([each for _, each in known])
    else:
        rows = [entry for entry in entries if entry.label and entry.captions]
        features = text_features([entry.captions[0] for entry in rows]) if rows else np.zeros(0)
    if not rows:
        raise UserError("--mislabeled is for labels of files or texts: this dataset has none")
    yield from mislabeled_findings(rows, features)


def _training(config: Config, tally: Tally, rate: float) -> Iterator[Finding]:
    """Yield how train.py would train: the preset, the steps, the time to decode."""
    from data.sharding.findings import Finding

    section = "Training"
    if config.small_data:
        yield Finding(section, "small_data", small_data.note(config))
    examples = tally.training_texts if "caption" in TASKS[config.task].answer else 0
    examples = examples or tally.splits["train"]
    steps = -(-examples // config.batch_size)
    text = (
        f"at most {config.epochs} epochs of {steps:,} steps with {flag('batch_size')} "
        f"{config.batch_size}; train.py shows the time of a step"
    )
    yield Finding(section, "steps", text, values={"steps": steps, "epochs": config.epochs})
    if rate:
        seconds = tally.splits.total() / rate
        text = f"reading and decoding took {seconds:,.1f} s on this machine, {rate:,.0f} a second"
        yield Finding(section, "decoding", text, values={"seconds": seconds})


def _encoding(config: Config, images: int) -> Finding:
    """Return how long the backbone takes for all images or frames, estimated from one batch."""
    quiet_tensorflow()
    import numpy as np

    from data.sharding.findings import Finding
    from models.backbones.factory import build_backbone, default_image_size
    from pipelines.inputs.feature_cache import row_function

    size = config.image_size or default_image_size(config.backbone)
    backbone = build_backbone(config.backbone, weights="random", image_size=size)
    batch, compute = np.zeros((8, size, size, 3), np.uint8), row_function(size, False, backbone)
    for _ in range(2):  # the first call compiles
        began = time.perf_counter()
        np.asarray(compute.compute(batch))
        rate = len(batch) / (time.perf_counter() - began)
    total = f": {images / rate:,.0f} s for all {images:,}" if images else ""
    text = (
        f"{config.backbone} encodes about {rate:,.0f} images or frames of {size} x {size} pixels a "
        f"second on this machine (estimated from one batch){total}, once while it is frozen"
    )
    values = {"images": images, "images_per_second": rate}
    return Finding("Training", "encoding", text, values=values)


def _write_page(path: Path, dataset: Dataset, text: str, findings: Sequence[Finding]) -> None:
    from pipelines.reports.gallery import page

    sections = {
        f"{found.section}: {found.text}": [_card(each, dataset) for each in found.examples[:CARDS]]
        for found in findings
        if found.examples and found.name != "labels"
    }
    with atomic_write(path) as file:
        file.write(page(f"{dataset.name}: check of the dataset", text, sections, width=340))


def _card(example: Example, dataset: Dataset) -> Card:
    from data.sharding.split_checks import content_of
    from pipelines.reports.gallery import Card
    from pipelines.reports.thumbnails import SIDE, thumbnail

    images, lines = [], list[Any]()
    for entry in example.entries:
        if dataset.content:
            with contextlib.suppress(UserError, OSError):  # the finding names the reason
                images.append(thumbnail(content_of(dataset, entry, SIDE)).uri)
        about = [entry.split, entry.file, entry.label, " / ".join(entry.captions[:5])]
        lines.append(" · ".join(filter(None, about)))
    return Card(example.text, images, lines)
