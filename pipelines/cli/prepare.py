"""`wordreel prepare`: write a dataset once, as sharded records that TFDS reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.sharding.datasets import PREPARABLE, preparable
from data.storage.dataset_info import Dataset
from pipelines.config.config import Config, flag
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import ZERO_TO_ONE, add_number

SUMMARY = "write a dataset as sharded records, on all cores or on a cluster; resumable"
EPILOG = """\
Options that are not listed here go to Apache Beam:
  --direct_num_workers=2 (default: all cores), --runner=FlinkRunner --flink_master=HOST:8081 …"""
DATASET_OPTIONS = ("image_size", "frames", "rate", "fold", "language", "languages", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    text = f"one of {', '.join(PREPARABLE)}"
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help=text)
    add_source_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="the output folder")
    text = "check the files in --out against their manifest and list damaged ones"
    parser.add_argument("--check", action="store_true", help=text)
    add_number(parser, "--image-size", int, None, "longest side of stored images, in pixels")
    add_number(parser, "--frames", int, None, "evenly spaced frames to store per clip")
    add_number(parser, "--rate", float, None, "frames to store per second, instead of --frames")
    add_number(parser, "--seed", int, None, "seed of generated datasets")
    text = "largest share of examples that may be unusable"
    add_number(parser, "--max-bad", float, ZERO_TO_ONE, text, Config.max_bad)
    text = "also store the features of a frozen backbone, float16"
    parser.add_argument("--features", metavar="BACKBONE", help=text)
    text = "backbone weights: 'auto' (default), 'imagenet' or a weights file"
    parser.add_argument("--weights", metavar="NAME", help=text)
    text = "input height and width of the backbone, in pixels"
    add_number(parser, "--feature-size", int, None, text)
    for name, text in (
        ("--flips", "also store the features of mirrored images"),
        ("--pooled", "store the mean over the feature grid, not the grid"),
        ("--no-pixels", "store features only, no images"),
    ):
        parser.add_argument(name, action="store_true", help=text)


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the source of a dataset, and what selects its annotations."""
    parser.add_argument("--source", metavar="DIR", help="the folder of the dataset")
    text = "number of the official split of ucf101 or hmdb51, else the test fold of a 5-fold split"
    add_number(parser, "--fold", int, None, text)
    text = "language of the captions of vatex (en, zh) or msvd (en, de, …); default: English"
    parser.add_argument("--language", metavar="NAME", help=text)
    text = "source and target language, as in the file names: en-de"
    parser.add_argument("--languages", metavar="A-B", help=text)


def dataset_options(dataset: Dataset, given: argparse.Namespace, **others: Any) -> dict[str, Any]:
    """Return `Dataset.options` for the options that are given.

    Raises:
        UserError: for one that the dataset does not have, or with a value that cannot be used.
    """
    values = {name: getattr(given, name, None) for name in DATASET_OPTIONS}
    own = {name: value for name, value in values.items() if value is not None}
    for name in own:
        if name not in dataset.flags:
            raise UserError(f"{given.dataset} has no option {flag(name)}")
    return dataset.options({**own, **others})


def run(given: argparse.Namespace, beam_options: Sequence[str] = ()) -> int:
    """Prepare a dataset, or check a prepared one; return 0, or 1 if files are damaged."""
    if given.check:
        return _check(given.out)
    if given.dataset is None:
        raise UserError(f"no dataset given: name one of {', '.join(PREPARABLE)}")
    dataset = preparable(given.dataset)
    options = dataset_options(dataset, given, pixels=not given.no_pixels)
    if given.features is None:
        for name in ("weights", "feature_size", "flips", "pooled", "no_pixels"):
            if getattr(given, name):
                raise UserError(f"{flag(name)} requires --features")
    elif not dataset.content:
        raise UserError(f"--features is for images and clips; {given.dataset} has {dataset.unit}")
    try:
        from pipelines.jobs.beam import check_options
    except ImportError:
        raise UserError("Apache Beam is missing: pip install -e '.[jobs]'") from None
    check_options(beam_options)
    from pipelines.jobs.prepare import prepare

    text = prepare(
        given.dataset,
        given.source,
        given.out,
        options=options,
        encoder=_encoder(given),
        pixels=not given.no_pixels,
        max_bad=given.max_bad,
        beam_options=beam_options,
    )
    print(text, end="")
    return 0


def _encoder(given: argparse.Namespace) -> dict[str, Any] | None:
    """Return the settings of the frozen encoder; None without `--features`."""
    if given.features is None:
        return None
    quiet_tensorflow()
    from pipelines.inputs.frozen_encoder import settings

    backbone = given.features, given.weights or "auto", given.feature_size
    return settings(*backbone, pooled=given.pooled, flips=given.flips)


def _check(out: Path) -> int:
    from data.storage.manifest import check

    damaged = list(check(out))
    for line in damaged:
        print(line)
    if damaged:
        print(
            "remove the damaged files and repeat the same `wordreel prepare`: it writes them again"
        )
    else:
        print(f"{out}: all files are intact")
    return int(bool(damaged))
