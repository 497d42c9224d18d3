"""`wordreel caption EXPORT FILE…`: say what pictures or clips show."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from data.common.errors import UserError
from data.media.suffixes import CLIP_SUFFIXES, IMAGE_SUFFIXES
from pipelines.runtime.console import number, quiet_tensorflow
from pipelines.serving.client.subtitles import FORMATS

if TYPE_CHECKING:
    from pipelines.serving.client.predictors import Answer, Captioner

SUMMARY = "say what pictures or clips show"
EXPORT_HELP = "an export, or the directory of a run with one in it"
WINDOW = 5.0  # seconds
BATCH = 32  # files answered before the first line is printed
SUFFIXES = IMAGE_SUFFIXES | CLIP_SUFFIXES  # of the files used from a folder


T = TypeVar("T")
A = TypeVar("A")


class Input(NamedTuple):
    """What sampling takes besides files."""

    kind: type
    rule: str
    ok: Callable[[float], bool]
    default: float


SAMPLING = {
    "temperature": Input(float, "0.001 to 1000", lambda value: 0.001 <= value <= 1000, 1.0),
    "top_k": Input(int, "0 (no limit) to 2147483647", lambda value: 0 <= value < 2**31, 0),
    "top_p": Input(float, "above 0 and at most 1 (no limit)", lambda value: 0 < value <= 1, 1.0),
    "seed": Input(int, "0 to 2147483647", lambda value: 0 <= value < 2**31, 0),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help=EXPORT_HELP)
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a picture, a clip, or a folder of some: what the model was trained on",
    )
    parser.add_argument(
        "--n-best",
        type=number(int, "a whole number"),
        default=1,
        metavar="K",
        help="captions of each, with their scores (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a line")
    parser.add_argument(
        "--attention",
        type=Path,
        metavar="OUT",
        help="draw where the model looked for each word: a .png file, or a folder for several",
    )
    parser.add_argument(
        "--subtitles",
        type=Path,
        metavar="OUT",
        help="caption one long clip window by window, to a .vtt or .srt file",
    )
    parser.add_argument(
        "--window",
        type=number(float, "a number"),
        metavar="SECONDS",
        help=f"of --subtitles: how long a window is (default: {WINDOW:g})",
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
    """Print captions; return 1 if a file could not be read, else 0."""
    signature, inputs = chosen_search(given)
    files = files_in(given.files)
    drawings = _drawings(given.attention, files)
    _check_subtitles(given, files)
    captioner = load(given.export, signature, **inputs)
    if given.subtitles is not None:
        return _subtitle(captioner, files[0], given)
    check_n_best(given, captioner.info)
    failures = 0
    for file, answer in answers(captioner.caption, files):
        if answer.problem is not None:
            failures += 1
            print(f"wordreel: {file}: {answer.problem}", file=sys.stderr)
        if given.json or answer.problem is None:
            print(_line(captioner, file, answer, given.n_best, given.json))
        if drawings and answer.words:
            _draw(captioner, file, answer, drawings[file])
    return 1 if failures else 0


def _check_subtitles(given: argparse.Namespace, files: Sequence[Path]) -> None:
    if given.subtitles is None:
        if given.window is not None:
            raise UserError("--window goes with --subtitles only")
        return
    if given.subtitles.suffix.lower() not in FORMATS:
        raise UserError(f"--subtitles writes {' or '.join(FORMATS)}, not {given.subtitles.name}")
    if len(files) > 1:
        raise UserError(f"--subtitles are of one clip, not of {len(files)}")
    if given.window is not None and not given.window > 0:
        raise UserError(f"--window must be above 0, not {given.window:g}")


def _subtitle(captioner: Captioner, clip: Path, given: argparse.Namespace) -> int:
    from pipelines.serving.client.subtitles import subtitle

    if captioner.takes != "frame_bytes":
        raise UserError(f"--subtitles are of clips; this is an export of {captioner.info['task']}")
    count = subtitle(captioner, clip, given.window or WINDOW, given.subtitles)
    print(f"{clip}: {count:,} captions in {given.subtitles}")
    return 0


def load(export: Path, signature: str = "serving_default", **inputs: float) -> Captioner:
    """Load an export, TensorFlow kept quiet."""
    if not export.exists():  # no need of TensorFlow to say so
        raise UserError(f"there is no export at {export}: no such file or folder")
    quiet_tensorflow()
    from pipelines.serving.client.predictors import Captioner

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


def files_in(paths: Sequence[Path]) -> list[Path]:
    """Return the pictures and clips, those of a folder in its place; each once."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not found:
                kinds = ", ".join(sorted(SUFFIXES))
                raise UserError(f"no picture or clip in {path}: looked for {kinds}")
            files += found
        else:
            files.append(path)
    return list(dict.fromkeys(files))


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


def answers(ask: Callable[[Sequence[T]], Sequence[A]], items: Sequence[T]) -> Iterator[tuple[T, A]]:
    """Yield each item with its answer, and show the progress."""
    from data.common.progress import progress

    # On a terminal the answers themselves show the progress.
    quiet = len(items) <= BATCH or sys.stdout.isatty()
    with progress(len(items), None, disable=quiet) as bar:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            yield from zip(batch, ask(batch), strict=True)
            bar.update(len(batch))


def _line(captioner: Captioner, file: Path, answer: Answer, n_best: int, as_json: bool) -> str:
    pairs = list(zip(answer.captions, answer.scores, strict=True))[:n_best]
    if as_json:
        captions = [{"caption": text, "score": round(score, 4)} for text, score in pairs]
        kind = "clip" if captioner.takes == "frame_bytes" else "picture"
        record = {kind: str(file), "captions": captions, "problem": answer.problem}
        return json.dumps(record, ensure_ascii=False)
    if n_best == 1:
        return f"{file}: {pairs[0][0]}"
    return "\n".join([f"{file}:", *(f"  {score:7.3f}  {text}" for text, score in pairs)])


def _draw(captioner: Captioner, file: Path, answer: Answer, path: Path) -> None:
    from data.common.files import atomic_write
    from pipelines.reports.attention import attention_figure, attention_strip

    if captioner.takes == "frame_bytes":
        frames = captioner.seen(captioner.read(file))
        figure = attention_strip(frames, answer.words, answer.attention[:, 0])
    else:
        figure = attention_figure(file.read_bytes(), answer.words, answer.attention)
    with atomic_write(path, "wb") as out:
        figure.save(out, "PNG")
