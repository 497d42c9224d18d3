"""Clips from a page: sampled here exactly as in training."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from typing import Any

from pipelines.server.errors import RequestError

KINDS = "MP4, MOV, WebM, MKV, AVI, MPEG or GIF"


def is_clip(start: bytes) -> bool:
    r"""Say whether a file begins as one of `KINDS`.

    FFmpeg would take a text with names of other files or addresses for a playlist, and open them.

    >>> is_clip(b"\0\0\0\x18ftypmp42"), is_clip(b"#EXTM3U\nfile:///etc/passwd")
    (True, False)
    """
    return (
        start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or start.startswith((b"\x1a\x45\xdf\xa3", b"GIF8", b"\0\0\1\xba", b"\0\0\1\xb3"))
        or (start.startswith(b"RIFF") and start[8:12] == b"AVI ")
    )


def frames_of(clip: bytes, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the frames of a clip that a model wants, as JPEGs in base64, and their seconds.

    Args:
        clip: an encoded file.
        info: the model's wordreel.json; its `sampling` says which frames.

    Raises:
        RequestError: if the model takes no clips, or this is none that can be read.
    """
    sampling = info.get("sampling") or info.get("input", {}).get("sampling")
    if sampling is None:
        raise RequestError(400, "This model takes no clips")
    if not is_clip(clip[:12]):
        raise RequestError(400, f"Not a clip, or none that can be read: {KINDS} are")
    from data.images import frame_jpeg
    from data.video import BadClip, Sampling, sample

    with tempfile.NamedTemporaryFile(prefix="wordreel-") as file:
        file.write(clip)
        file.flush()
        try:
            found = sample(file.name, Sampling(**sampling))
        except BadClip as error:
            raise RequestError(400, f"The clip cannot be read: {error}") from None
    frames = [base64.b64encode(frame_jpeg(frame)).decode() for frame in found.frames]
    return {"frames": frames, "seconds": found.times.tolist(), "remarks": list(found.remarks)}
