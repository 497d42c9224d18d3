"""`wordreel caption EXPORT FILE…`: caption images or video clips."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data.common.errors import UserError
from pipelines.cli.predict import (
    add_export,
    add_sentence_options,
    attention_files,
    chosen_search,
    files_in,
    load_tensorflow_for,
    print_sentences,
)
from pipelines.runtime.numbers import ABOVE_ZERO, add_number
from pipelines.serving.client.subtitles import FORMATS, subtitle

SUMMARY = "caption images or video clips"
WINDOW = 5.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_export(parser)
    text = "an image, a clip or a folder of them, whichever the model was trained on"
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=text)
    add_sentence_options(parser, "captions", "the image or the frames")
    text = "caption one long clip window by window, to a .vtt or .srt file"
    parser.add_argument("--subtitles", type=Path, metavar="OUT", help=text)
    text = f"with --subtitles: length of a window in seconds (default: {WINDOW:g})"
    add_number(parser, "--window", float, ABOVE_ZERO, text)


def run(given: argparse.Namespace) -> int:
    """Print captions; return 1 if a file is invalid, else 0."""
    signature, inputs = chosen_search(given)
    files = files_in(given.files)
    plots = attention_files(given.attention, [file.stem for file in files], "images")
    _check_subtitles(given, files)
    load_tensorflow_for(given.export)
    from pipelines.serving.client.predictors import Captioner

    captioner = Captioner(given.export, signature, **inputs)
    if given.subtitles is not None:
        if captioner.input_name != "frame_bytes":
            task = captioner.info["task"]
            raise UserError(f"--subtitles requires a model for clips; this is an export of {task}")
        count = subtitle(captioner, files[0], given.window or WINDOW, given.subtitles)
        print(f"{files[0]}: {count:,} captions in {given.subtitles}")
        return 0
    return print_sentences(given, captioner, files, plots)


def _check_subtitles(given: argparse.Namespace, files: Sequence[Path]) -> None:
    if given.subtitles is None:
        if given.window is not None:
            raise UserError("--window requires --subtitles")
        return
    if given.subtitles.suffix.lower() not in FORMATS:
        raise UserError(f"--subtitles writes {' or '.join(FORMATS)}, not {given.subtitles.name}")
    if len(files) > 1:
        raise UserError(f"--subtitles takes one clip, not {len(files)}")
