"""Clips from a page: sampled here exactly as in training, in a process of their own."""

from __future__ import annotations

import base64
import multiprocessing
import resource
import tempfile
from collections.abc import Mapping
from typing import Any

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.settings import MIB

KINDS = "MP4, MOV, WebM, MKV, AVI, MPEG and GIF"
SECONDS = 20.0  # that a clip may be decoded for: a small file can hold hours of a still picture
_MEMORY = 2048 * MIB  # that it may take


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


def frames_of(clip: bytes, info: Mapping[str, Any], seconds: float = SECONDS) -> dict[str, Any]:
    """Return the frames of a clip that a model wants, as JPEGs in base64, and their seconds.

    A clip that crashes the decoder, fills the memory or never ends takes nothing else along.

    Args:
        clip: an encoded file.
        info: the model's wordreel.json; the `sampling` of its `input` says which frames.
        seconds: in which it has to be done.

    Raises:
        RequestError: if the model takes no clips, or this is none that can be read.
    """
    sampling = info.get("input", {}).get("sampling")
    if sampling is None:
        raise RequestError(400, "This model takes no clips")
    if not is_clip(clip[:12]):
        raise RequestError(400, f"This is not a clip; {KINDS} can be read")
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile(prefix="wordreel-") as file, receiver:
        file.write(clip)
        file.flush()
        process = context.Process(target=_sample, args=(file.name, sampling, sender), daemon=True)
        process.start()
        sender.close()
        try:
            if not receiver.poll(seconds):
                raise RequestError(400, f"The clip takes more than {seconds:g} s to read")
            found = receiver.recv()
        except EOFError:
            found = "what reads it crashes"
        finally:
            process.kill()
            process.join()
    if isinstance(found, str):
        raise RequestError(400, f"The clip cannot be read: {found}")
    return dict(found)


def _sample(path: str, sampling: Mapping[str, Any], sender: Any) -> None:
    """Send the frames of a clip, or in words why there are none."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    import cv2

    from data.media.images import frame_jpeg
    from data.media.sampling import BadClip, Sampling
    from data.media.video import sample

    try:
        found = sample(path, Sampling(**sampling))
        frames = [base64.b64encode(frame_jpeg(frame)).decode() for frame in found.frames]
    except BadClip as error:
        sender.send(str(error))
    except (MemoryError, cv2.error):
        sender.send("its frames take too much memory")
    else:
        facts = {"seconds": found.times.tolist(), "remarks": list(found.remarks)}
        sender.send({"frames": frames, **facts})
