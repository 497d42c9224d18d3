"""Caption a long clip window by window, as WebVTT or SubRip."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data.common.errors import UserError
from data.common.files import atomic_write

if TYPE_CHECKING:
    from data.media.sampling import Sampling
    from pipelines.serving.client.predictors import Captioner

FORMATS = (".vtt", ".srt")


class Cue(NamedTuple):
    """A caption with its start and end, in seconds."""

    start: float
    end: float
    text: str


def subtitle(captioner: Captioner, clip: Path, window: float, out: Path) -> int:
    """Caption each window of a clip, write the captions and return their number.

    Equal captions of adjacent windows are merged.

    Args:
        captioner: of an export for clips.
        clip: the file.
        window: seconds; each window is sampled like a whole clip in training.
        out: a .vtt or .srt file.

    Raises:
        UserError: if the clip cannot be read.
    """
    from data.media.sampling import Sampling

    sampling, spans = Sampling(**captioner.info["input"]["sampling"]), list[tuple[float, float]]()

    def frames() -> Iterator[list[bytes]]:
        for start, end, encoded in _windows(clip, sampling, window):
            spans.append((start, end))
            yield encoded

    predictions = captioner.predict(frames())
    cues = [
        Cue(*span, prediction.sentences[0])
        for span, prediction in zip(spans, predictions, strict=True)
        if prediction.problem is None
    ]
    cues = _merged(cues)
    with atomic_write(out) as file:
        file.write(to_vtt(cues) if out.suffix.lower() == ".vtt" else to_srt(cues))
    return len(cues)


def _windows(
    clip: Path, sampling: Sampling, window: float
) -> Iterator[tuple[float, float, list[bytes]]]:
    from data.media.images import encode_jpeg
    from data.media.sampling import BadClip
    from data.media.video import sample

    for number in itertools.count():
        start, end = number * window, (number + 1) * window
        try:
            found = sample(clip, sampling, start=start, end=end)
        except BadClip as error:
            if number and "no frame in the window" in str(error):
                return
            raise UserError(f"{clip}, from {start:g} s: {error}") from error
        except OSError as error:
            raise UserError(f"{clip}: {error.strerror or error}") from error
        last = float(found.times[-1])  # the middle of its segment
        end = min(end, last + max(0.04, (last - start) / (2 * len(found.times) - 1)))
        yield start, end, [encode_jpeg(frame) for frame in found.frames]


def _merged(cues: Sequence[Cue]) -> list[Cue]:
    groups = (list(group) for _, group in itertools.groupby(cues, lambda cue: cue.text))
    return [group[0]._replace(end=group[-1].end) for group in groups]


def to_vtt(cues: Sequence[Cue]) -> str:
    """Return WebVTT."""
    blocks = [
        f"{_clock(cue.start)} --> {_clock(cue.end)}\n{html.escape(cue.text, quote=False)}\n"
        for cue in cues
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def to_srt(cues: Sequence[Cue]) -> str:
    """Return SubRip."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues, 1)
    ]
    return "\n".join(blocks)


def _clock(seconds: float, point: str = ".") -> str:
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}{point}{milliseconds:03}"
