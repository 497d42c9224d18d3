"""Speed of an export: a caption beside the encoder alone, and many clients beside one by one.

    python -m benchmarks.serving [--backbone efficientnet-lite0] [--seconds 20] [--clients 16]

A captioner of random weights on a real backbone (show-attend-tell, 512 units, 2,538 words) is
exported with a beam of 3 and captions of 11 words, the mean of Flickr8k's. Then

- latency: one JPEG of 500 × 375 pixels to its caption, by the export, beside the forward pass of
  backbone and encoder on the same picture, decoded; medians, taken in turns;
- throughput: a server with the default batching beside one that takes one row at a time
  (`--max-rows 1`), each asked by so many clients at once.

The limits are 1.3 for latency, 2 for throughput. Close other programs first.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from data.vocabulary import SPECIAL, Vocabulary
from models.backbones import build_backbone, default_image_size
from models.encoder_decoder import EncoderHead
from models.image_encoder import ImageEncoder
from models.search import END, SearchOptions
from models.sequence_decoder import SequenceDecoder
from pipelines.export import export
from pipelines.picture_bytes import PictureBytes

UNITS, WORDS, LENGTH, BEAMS = 512, 2538, 11, 3
RATIO_LIMIT, GAIN_LIMIT = 1.3, 2.0


def make_export(backbone_name: str, folder: Path) -> tuple[Any, int]:
    """Export a captioner of random weights; return it and its pixels a side."""
    size = default_image_size(backbone_name)
    backbone = build_backbone(backbone_name, image_size=size)
    _, rows, columns, features = backbone.compute_output_shape((1, size, size, 3))
    encoder = ImageEncoder(UNITS)
    encoder.build(rows * columns, features)
    head = SequenceDecoder(WORDS, cell="show-attend-tell", units=UNITS, embedding=UNITS)
    model = EncoderHead(backbone, encoder, head)
    head.bias.assign(np.where(np.arange(WORDS) == END, -9.0, 0.0))  # as long as they may be
    words = Vocabulary([*SPECIAL, *(f"w{number}" for number in range(WORDS - len(SPECIAL)))])
    options = SearchOptions(beams=BEAMS, n_best=BEAMS, max_words=LENGTH)
    export(model, PictureBytes(size, (rows, columns)), words, options, folder, {})
    return model, size


def photo(seed: int) -> bytes:
    """Return a JPEG of the size of Flickr8k's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def medians(*works: Callable[[], Any], repeats: int) -> list[float]:
    """Return the median seconds of each, taken in turns so that all see the same machine."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(repeats + 2):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if turn >= 2:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def latency(model: Any, size: int, folder: Path, repeats: int) -> tuple[float, float]:
    """Return the median seconds of the encoder's forward pass and of the whole export."""
    pixels = tf.constant(np.random.default_rng(0).integers(0, 256, (1, size, size, 3)), tf.uint8)
    forward = tf.function(lambda pixels: model.remember(pixels).values)
    loaded = tf.saved_model.load(str(folder / "1"))
    caption, picture = loaded.signatures["serving_default"], tf.constant([photo(0)])
    whole = lambda: caption(image_bytes=picture)["caption"].numpy()  # noqa: E731
    encoder, export_ = medians(lambda: forward(pixels).numpy(), whole, repeats=repeats)
    return encoder, export_


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """Run a server; give its port once it is ready."""
    command = [sys.executable, "-m", "pipelines.cli", "serve", f"bench={folder}", "--port", "0"]
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    try:
        assert process.stdout
        port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
        while ask(port, "GET", "/readyz")[0] != 200:
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def throughput(port: int, clients: int, seconds: float) -> float:
    """Return the captions a second that so many clients get, each asking one at a time."""
    end, counts = time.monotonic() + seconds, [0] * clients

    def client(number: int) -> None:
        body = json.dumps({"inputs": [{"b64": base64.b64encode(photo(number)).decode()}]})
        while time.monotonic() < end:
            status, _ = ask(port, "POST", "/v1/models/bench:predict", body)
            counts[number] += status == 200

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each throughput")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=50, help="of each latency")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bench"
        model, size = make_export(given.backbone, folder)
        encoder, whole = latency(model, size, folder, given.repeats)
        print(
            f"latency, {given.backbone} at {size} pixels, beam {BEAMS}, {LENGTH} words: "
            f"{1000 * whole:.1f} ms a caption, {1000 * encoder:.1f} ms the encoder alone: "
            f"{whole / encoder:.2f} × (limit {RATIO_LIMIT})"
        )
        rates = {}
        for name, options in (("batched", ()), ("one by one", ("--max-rows", "1"))):
            with server(folder, *options) as port:
                throughput(port, given.clients, 2)
                rates[name] = throughput(port, given.clients, given.seconds)
        gain = rates["batched"] / rates["one by one"]
        print(
            f"throughput, {given.clients} clients: {rates['batched']:.1f} captions/s batched, "
            f"{rates['one by one']:.1f} one by one: {gain:.2f} × (at least {GAIN_LIMIT:g})"
        )


if __name__ == "__main__":
    main()
