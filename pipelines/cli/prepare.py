"""`wordreel prepare`: build a dataset once, as sharded records that plain TFDS reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.common.errors import UserError
from data.sharding.dataset_kinds import kind_of, preparable
from pipelines.config.config import flag
from pipelines.runtime.console import number, quiet_tensorflow

SUMMARY = "build a dataset as sharded records, on all cores or on a cluster; resumable"
EPILOG = """\
Options that are not listed here go to Apache Beam:
  --direct_num_workers=2 (default: all cores), --runner=FlinkRunner --flink_master=HOST:8081 …"""
OWN = ("image_size", "frames", "rate", "languages", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    names = ", ".join(preparable())
    parser.add_argument("dataset", metavar="DATASET", nargs="?", help=f"one of {names}")
    parser.add_argument("--source", metavar="DIR", help="the folder it lies in")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="where it goes")
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare what lies in --out with its manifest, and name what is damaged",
    )
    whole = number(int, "a whole number")
    parser.add_argument(
        "--image-size", type=whole, metavar="N", help="longest side of what is stored, pixels"
    )
    parser.add_argument("--frames", type=whole, metavar="N", help="frames of a clip")
    parser.add_argument(
        "--rate", type=number(float, "a number"), metavar="X", help="frames a second instead"
    )
    parser.add_argument(
        "--languages", metavar="A-B", help="of texts with translations: from which to which"
    )
    parser.add_argument("--seed", type=whole, metavar="N", help="of what is made on the spot")
    parser.add_argument(
        "--max-bad",
        type=number(float, "a number"),
        default=0.01,
        metavar="X",
        help="largest share of examples that may be unusable (default: 0.01)",
    )
    parser.add_argument(
        "--features",
        metavar="BACKBONE",
        help="store what a frozen backbone makes of each picture or frame as well, float16",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        default="auto",
        help="the backbone's weights: 'auto', 'imagenet' or a file",
    )
    parser.add_argument(
        "--feature-size", type=whole, metavar="N", help="pixels a side that the backbone sees"
    )
    parser.add_argument(
        "--flips", action="store_true", help="store features of mirrored pictures as well"
    )
    parser.add_argument(
        "--pooled", action="store_true", help="store the mean of the grid, not the grid"
    )
    parser.add_argument(
        "--no-pixels", action="store_true", help="store features only, without pictures"
    )


def run(given: argparse.Namespace, beam_options: Sequence[str] = ()) -> int:
    """Prepare, or check what was prepared; return 0, or 1 if something is damaged."""
    if given.check:
        return _check(given.out)
    if given.dataset is None:
        raise UserError(f"prepare what? One of {', '.join(preparable())}")
    kind = kind_of(given.dataset)
    own: dict[str, Any] = {
        name: value for name in OWN if (value := getattr(given, name)) is not None
    }
    for name in own:
        if name not in kind.flags:
            raise UserError(f"{given.dataset} has no option {flag(name)}")
    if given.features is None:
        for name in ("weights", "feature_size", "flips", "pooled", "no_pixels"):
            if getattr(given, name):
                raise UserError(f"{flag(name)} goes with --features")
    elif not kind.field:
        raise UserError(f"--features is for pictures and clips; {given.dataset} has {kind.unit}")
    if not 0 <= given.max_bad <= 1:
        raise UserError(f"--max-bad is a share between 0 and 1, not {given.max_bad}")
    options = kind.options(given.dataset, {**own, "pixels": not given.no_pixels})
    try:
        from pipelines.jobs.beam import check_options
    except ImportError:
        raise UserError("Apache Beam is missing: pip install -e '.[jobs]'") from None
    check_options(beam_options)
    return _prepare(given, options, beam_options)


def _prepare(
    given: argparse.Namespace, options: dict[str, Any], beam_options: Sequence[str]
) -> int:
    from pipelines.jobs.prepare import prepare

    encoder = None
    if given.features is not None:
        quiet_tensorflow()
        from pipelines.inputs.frozen_encoder import settings

        encoder = settings(
            given.features,
            given.weights,
            given.feature_size,
            pooled=given.pooled,
            flips=given.flips,
        )
    text = prepare(
        given.dataset,
        given.source,
        given.out,
        options=options,
        encoder=encoder,
        pixels=not given.no_pixels,
        max_bad=given.max_bad,
        beam_options=beam_options,
    )
    print(text, end="")
    return 0


def _check(out: Path) -> int:
    from data.storage.manifest import check

    damaged = list(check(out))
    for line in damaged:
        print(line)
    if damaged:
        print("remove what is damaged, and the same `wordreel prepare` makes it anew")
    else:
        print(f"{out}: all is as it was prepared")
    return int(bool(damaged))
