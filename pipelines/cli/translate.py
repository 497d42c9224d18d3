"""`wordreel translate EXPORT TEXT…`: translate texts."""

from __future__ import annotations

import argparse

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

SUMMARY = "translate texts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_inputs(parser, "a text, or a .txt file with a text a line")
    add_sentence_options(parser, "translations", "the words of the text")


def run(given: argparse.Namespace) -> int:
    """Write translations; return 1 if a row of a table cannot be read, else 0."""
    signature, search = chosen_search(given)
    info, inputs = check_inputs(given)
    check_n_best(given, info)
    names = [str(number + 1) for number in range(len(inputs.items))]
    plots = attention_files(given.attention, names, "texts")
    quiet_tensorflow()
    from pipelines.serving.client.predictors import Translator

    return write_sentences(given, Translator(given.export, signature, **search), inputs, plots)
