"""`wordreel caption EXPORT INPUT…`: caption images or video clips."""

from __future__ import annotations

import argparse
from pathlib import Path

from data.common.errors import UserError
from pipelines.cli.predict import (
    add_inputs,
    add_sentence_options,
    attention_files,
    check_inputs,
    check_n_best,
    chosen_search,
    write_sentences,
)
from pipelines.runtime.console import quiet_tensorflow
from pipelines.runtime.numbers import ABOVE_ZERO, add_number
from pipelines.serving.client.subtitles import FORMATS, subtitle

SUMMARY = "caption images or video clips"
WINDOW = 5.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_inputs(parser, "an image or a clip, whichever the model was trained on")
    add_sentence_options(parser, "captions", "the image or the frames")
    text = "caption one long clip window by window, to a .vtt or .srt file"
    parser.add_argument("--subtitles", type=Path, metavar="OUT", help=text)
    text = f"with --subtitles: length of a window in seconds (default: {WINDOW:g})"
    add_number(parser, "--window", float, ABOVE_ZERO, text)


def run(given: argparse.Namespace) -> int:
    """Write captions; return 1 if an input is invalid, else 0."""
    signature, search = chosen_search(given)
    _check_subtitles(given)
    info, inputs = check_inputs(given)
    check_n_best(given, info)
    stems = [Path(item).stem for item in inputs.items]
    plots = attention_files(given.attention, stems, f"{inputs.kind}s")
    if given.subtitles is not None and inputs.kind != "clip":
        raise UserError(f"--subtitles requires a model for clips, this one is for {inputs.kind}s")
    if given.subtitles is not None and len(inputs.items) > 1:
        raise UserError(f"--subtitles takes one clip, not {len(inputs.items)}")
    quiet_tensorflow()
    from pipelines.serving.client.predictors import Captioner

    captioner = Captioner(given.export, signature, **search)
    if given.subtitles is None:
        return write_sentences(given, captioner, inputs, plots)
    clip = Path(inputs.items[0])
    count = subtitle(captioner, clip, given.window or WINDOW, given.subtitles)
    print(f"{clip}: {count:,} captions in {given.subtitles}")
    return 0


def _check_subtitles(given: argparse.Namespace) -> None:
    if given.subtitles is None:
        if given.window is not None:
            raise UserError("--window requires --subtitles")
    elif given.subtitles.suffix.lower() not in FORMATS:
        raise UserError(f"--subtitles writes {' or '.join(FORMATS)}, not {given.subtitles.name}")
