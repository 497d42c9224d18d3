"""`wordreel caption EXPORT PICTURE…`: say what pictures show."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data.errors import UserError
from pipelines.console import number, quiet_tensorflow

if TYPE_CHECKING:
    from pipelines.serving import Answer, Captioner

SUMMARY = "say what pictures show"
EXPORT_HELP = "an export, or the directory of a run with one in it"
BATCH = 32  # pictures answered before the first line is printed
# Of the files in a folder, those that are taken for pictures.
SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
)


class Input(NamedTuple):
    """What sampling takes besides pictures."""

    kind: type
    rule: str
    ok: Callable[[float], bool]
    default: float


SAMPLING = {
    "temperature": Input(float, "above 0", lambda value: value > 0, 1.0),
    "top_k": Input(int, "0 (no limit) or more", lambda value: value >= 0, 0),
    "top_p": Input(float, "above 0 and at most 1 (no limit)", lambda value: 0 < value <= 1, 1.0),
    "seed": Input(int, "0 or more", lambda value: value >= 0, 0),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help=EXPORT_HELP)
    parser.add_argument(
        "pictures", nargs="+", type=Path, metavar="PICTURE", help="a picture, or a folder of some"
    )
    parser.add_argument(
        "--n-best",
        type=number(int, "a whole number"),
        default=1,
        metavar="K",
        help="captions of each picture, with their scores (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a line")
    parser.add_argument(
        "--attention",
        type=Path,
        metavar="OUT",
        help="draw where the model looked for each word: a .png file, or a folder for several",
    )
    add_search_arguments(parser)


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how sentences are searched for."""
    search = parser.add_mutually_exclusive_group()
    search.add_argument("--greedy", action="store_true", help="take the likeliest next word")
    search.add_argument("--sample", action="store_true", help="draw sentences at random")
    for name, (kind, rule, _, default) in SAMPLING.items():
        parser.add_argument(
            _option(name),
            type=number(kind, "a whole number" if kind is int else "a number"),
            metavar="N" if kind is int else "X",
            help=f"of --sample: {rule} (default: {default})",
        )


def run(given: argparse.Namespace) -> int:
    """Print captions; return 1 if a picture could not be read, else 0."""
    signature, inputs = chosen_search(given)
    pictures = _pictures(given.pictures)
    drawings = _drawings(given.attention, pictures)
    captioner = load(given.export, signature, **inputs)
    check_n_best(given, captioner.info)
    failures = 0
    for picture, answer in _answers(captioner, pictures):
        if answer.problem is not None:
            failures += 1
            print(f"wordreel: {picture}: {answer.problem}", file=sys.stderr)
        if given.json or answer.problem is None:
            print(_line(picture, answer, given.n_best, given.json))
        if drawings and answer.words:
            _draw(picture, answer, drawings[picture])
    return 1 if failures else 0


def load(export: Path, signature: str = "serving_default", **inputs: float) -> Captioner:
    """Load an export, TensorFlow kept quiet."""
    if not export.exists():  # no need of TensorFlow to say so
        raise UserError(f"there is no export at {export}: no such file or folder")
    quiet_tensorflow()
    from pipelines.serving import Captioner

    return Captioner(export, signature, **inputs)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def check_n_best(given: argparse.Namespace, info: Mapping[str, Any]) -> None:
    """Refuse to show more sentences than an export finds.

    Raises:
        UserError: if so many were asked for.
    """
    most = 1 if given.greedy else info["search"]["n_best"]
    if not 1 <= given.n_best <= most:
        raise UserError(f"--n-best is from 1 to {most} in this search of this export")


def chosen_search(given: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """Return the signature to ask, and what it takes besides the inputs.

    Raises:
        UserError: for an option that does not go with the others, or is out of range.
    """
    inputs = {}
    for name, (_, rule, ok, default) in SAMPLING.items():
        value = getattr(given, name)
        if value is not None and not given.sample:
            raise UserError(f"{_option(name)} goes with --sample only")
        inputs[name] = default if value is None else value
        if not ok(inputs[name]):
            raise UserError(f"{_option(name)} must be {rule}, not {value}")
    if given.sample:
        return "sample", inputs
    return ("greedy" if given.greedy else "serving_default"), {}


def _pictures(paths: Sequence[Path]) -> list[Path]:
    """Return the pictures, those of a folder in its place; each once."""
    pictures: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not found:
                raise UserError(f"no picture in {path}: looked for {', '.join(sorted(SUFFIXES))}")
            pictures += found
        else:
            pictures.append(path)
    return list(dict.fromkeys(pictures))


def _drawings(out: Path | None, pictures: Sequence[Path]) -> dict[Path, Path]:
    """Return the file that each picture's attention goes to."""
    if out is None:
        return {}
    if out.suffix.lower() == ".png":
        if len(pictures) > 1:
            raise UserError(
                f"--attention {out} is one file for {len(pictures)} pictures: name a folder"
            )
        return {pictures[0]: out}
    files: dict[Path, Path] = {}
    for picture in pictures:
        file, copies = out / f"{picture.stem}.png", 1
        while file in files.values():
            copies += 1
            file = out / f"{picture.stem}-{copies}.png"
        files[picture] = file
    return files


def _answers(captioner: Captioner, pictures: Sequence[Path]) -> Iterator[tuple[Path, Answer]]:
    from data.progress import progress

    # On a terminal the captions themselves show the progress.
    quiet = len(pictures) <= BATCH or sys.stdout.isatty()
    with progress(len(pictures), None, disable=quiet) as bar:
        for start in range(0, len(pictures), BATCH):
            batch = pictures[start : start + BATCH]
            yield from zip(batch, captioner.caption(batch), strict=True)
            bar.update(len(batch))


def _line(picture: Path, answer: Answer, n_best: int, as_json: bool) -> str:
    pairs = list(zip(answer.captions, answer.scores, strict=True))[:n_best]
    if as_json:
        captions = [{"caption": text, "score": round(score, 4)} for text, score in pairs]
        record = {"picture": str(picture), "captions": captions, "problem": answer.problem}
        return json.dumps(record, ensure_ascii=False)
    if n_best == 1:
        return f"{picture}: {pairs[0][0]}"
    return "\n".join([f"{picture}:", *(f"  {score:7.3f}  {text}" for text, score in pairs)])


def _draw(picture: Path, answer: Answer, path: Path) -> None:
    from data.files import atomic_write
    from pipelines.drawing import attention_figure

    figure = attention_figure(picture.read_bytes(), answer.words, answer.attention)
    with atomic_write(path, "wb") as file:
        figure.save(file, "PNG")
