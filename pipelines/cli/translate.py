"""`wordreel translate EXPORT TEXT…`: translate texts."""

from __future__ import annotations

import argparse
import sys

from pipelines.cli.predict import (
    add_export,
    add_sentence_options,
    attention_files,
    chosen_search,
    load_tensorflow_for,
    print_sentences,
)
from pipelines.export.layout import find_version

SUMMARY = "translate texts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_export(parser)
    text = "a text (default: each line of standard input)"
    parser.add_argument("texts", nargs="*", metavar="TEXT", help=text)
    add_sentence_options(parser, "translations", "the words of the text")


def run(given: argparse.Namespace) -> int:
    """Print translations; return 0."""
    signature, inputs = chosen_search(given)
    find_version(given.export)  # before waiting for standard input
    texts = given.texts or [line.rstrip("\n") for line in sys.stdin]
    plots = attention_files(given.attention, [str(n + 1) for n in range(len(texts))], "texts")
    load_tensorflow_for(given.export)
    from pipelines.serving.client.predictors import Translator

    return print_sentences(given, Translator(given.export, signature, **inputs), texts, plots)
