"""Uploaded images and clips: checked before decoding; clips are sampled as in training."""

from __future__ import annotations

import base64
import contextlib
import io
import multiprocessing
import resource
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.settings import MIB

IMAGE_FORMATS = "JPEG, PNG, GIF and BMP"
# First bytes and Pillow's class, which reads no more than the header. `Image.open` would raise for
# very large images and hide their size.
_IMAGES = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
}
CLIP_FORMATS = "MP4, MOV, WebM, MKV, AVI, MPEG, TS, WMV, FLV and GIF"
CLIP_SECONDS = 20.0  # limit for decoding: a small file can hold hours of one still image
_CLIP_MEMORY = 2048 * MIB  # limit for decoding


def image_size(encoded: bytes) -> tuple[int, int] | None:
    """Return the width and height in an image's header; None if it cannot be read."""
    for start, reader in _IMAGES.items():
        if encoded.startswith(start):
            # Pillow raises nearly anything for damaged bytes; the model then reports the damage.
            with contextlib.suppress(Exception), reader(io.BytesIO(encoded)) as image:
                return image.size
    return None


def check_image_sizes(inputs: Mapping[str, np.ndarray], max_pixels: int) -> None:
    """Raise a RequestError (413) if the header of an image gives more than `max_pixels`."""
    for name, array in inputs.items():
        if name.endswith("_bytes"):
            for row, encoded in enumerate(array.ravel().tolist()):
                width, height = image_size(encoded) or (0, 0)
                if width * height > max_pixels:
                    raise RequestError(
                        413,
                        f"Input {name}: image {row} has {width:,} × {height:,} pixels, the limit "
                        f"is {max_pixels:,}",
                    )


def check_any_row_valid(
    inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> None:
    """Raise a RequestError (400) with the reason if no row is valid."""
    valid = outputs.get("valid")
    if valid is None or not valid.size or valid.any():
        return
    for name, array in inputs.items():
        if name.endswith("_bytes"):
            raise RequestError(400, f"Input {name}: {_image_problem(array.ravel().tolist())}")
        if name == "text":
            raise RequestError(400, f"Input {name}: the text has no readable word")


def _image_problem(images: Iterable[bytes]) -> str:
    for encoded in images:
        if not encoded:
            return "the file is empty (0 bytes), not an image"
        if not encoded.startswith(tuple(_IMAGES)):
            start = encoded.lstrip()[:20].lower()
            page = "a web page, " if start.startswith((b"<!doctype", b"<html")) else ""
            return f"this is {page}not an image; supported formats: {IMAGE_FORMATS}"
    return (
        "the image cannot be decoded: it is truncated or damaged, or of a rare form, such as a BMP "
        "with a color palette; save it as a JPEG or PNG"
    )


def is_clip(start: bytes) -> bool:
    """Return whether a file starts as one of `CLIP_FORMATS`.

    FFmpeg would read a text with names of other files or URLs as a playlist, and open them.

    Args:
        start: the first 200 bytes or more.
    """
    return (
        start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or start.startswith((b"\x1a\x45\xdf\xa3", b"GIF8", b"\0\0\1\xba", b"\0\0\1\xb3"))
        or (start.startswith(b"RIFF") and start[8:12] == b"AVI ")
        or start.startswith((b"FLV\1", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"))
        # Packets of a transport stream, of 188 bytes or (cameras) 192, start with this byte.
        or any(start[at : at + size + 1 : size] == b"GG" for at, size in ((0, 188), (4, 192)))
    )


def sample_clip(
    clip: bytes, info: Mapping[str, Any], seconds: float = CLIP_SECONDS
) -> dict[str, Any]:
    """Decode a clip in a process of its own and sample frames as in training.

    A clip that crashes the decoder, exhausts the memory or never ends affects nothing else.

    Args:
        clip: an encoded file.
        info: the model's wordreel.json.
        seconds: time limit.

    Returns:
        `frames`: JPEGs in base64; `seconds`: their times; `remarks`: warnings about the file.

    Raises:
        RequestError: 400, if the model takes no clips or the clip cannot be read.
    """
    sampling = info.get("input", {}).get("sampling")
    if sampling is None:
        raise RequestError(400, "This model does not take clips")
    if not is_clip(clip[:200]):
        raise RequestError(400, f"This is not a clip; supported formats: {CLIP_FORMATS}")
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
            result = receiver.recv()
        except EOFError:
            result = "the decoder crashed"
        finally:
            process.kill()
            process.join()
    if isinstance(result, str):
        raise RequestError(400, f"The clip cannot be read: {result}")
    return dict(result)


def _sample(path: str, sampling: Mapping[str, Any], sender: Any) -> None:
    """Send the frames of a clip, or the reason why there are none."""
    resource.setrlimit(resource.RLIMIT_DATA, (_CLIP_MEMORY, _CLIP_MEMORY))
    import cv2

    from data.media.images import encode_jpeg
    from data.media.sampling import BadClip, Sampling
    from data.media.video import sample

    try:
        sampled = sample(path, Sampling(**sampling))
        frames = [base64.b64encode(encode_jpeg(frame)).decode() for frame in sampled.frames]
    except BadClip as error:
        sender.send(str(error))
    except (MemoryError, cv2.error):
        sender.send("its frames take too much memory")
    else:
        facts = {"seconds": sampled.times.tolist(), "remarks": list(sampled.remarks)}
        sender.send({"frames": frames, **facts})
