"""Latency and throughput of an export, relative to its encoder and to serving without batching.

    python -m benchmarks.serving RUN --images DIR [--seconds 10] [--clients 16] [--repeats 60]

Exports the captioner of a run directory with a beam of 3; the data of the run must be in place.

- latency: from one JPEG to its caption, relative to the forward pass of the trained backbone and
  encoder on the decoded image; also the steps of the export alone. Medians of interleaved calls.
- throughput: a server with default batching relative to one without (`--max-rows 1`), with
  concurrent clients on this machine.

The limits are 1.3 for latency, 2 for throughput. Close other programs first; it takes two minutes.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.search.beam_search import beam_search
from pipelines.tasks.assembly import Experiment, load_experiment
from pipelines.tasks.caption_head import CaptionHead

BEAMS = 3
RATIO_LIMIT, GAIN_LIMIT = 1.3, 2.0


def medians(functions: Sequence[Callable[[int], Any]], repeats: int) -> list[float]:
    """Return the median seconds of each function, called in turn with 0, 1 and so on."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(-3, repeats):
        for work, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            work(max(turn, 0))
            if turn >= 0:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def latency(
    experiment: Experiment, version: Path, images: Sequence[bytes], repeats: int
) -> dict[str, float]:
    """Return the median seconds of the export, of the encoder and of the steps of the export."""
    model, read_in_graph = experiment.model, experiment.source.preprocessing.read_in_graph
    assert isinstance(experiment.head, CaptionHead)
    optimized, options = model.optimize_for_inference(), experiment.head.options
    caption = tf.saved_model.load(str(version)).signatures["serving_default"]
    arguments = [tf.constant([image]) for image in images]
    pixels = [read_in_graph(each)[0] for each in arguments]
    read = tf.function(read_in_graph, autograph=False)
    forward = tf.function(model.encode, autograph=False)
    optimized_encoder = tf.function(optimized.encode, autograph=False)
    memories = [forward(each) for each in pixels]

    @tf.function(autograph=False)
    def search(memory: Any) -> Any:
        step, state, cache = optimized.head.prepare_search(memory)
        return beam_search(step, state, cache, 1, options).tokens

    functions = {
        "caption": lambda n: caption(image_bytes=arguments[n])["caption"].numpy(),
        "encoder": lambda n: forward(pixels[n]).values.numpy(),
        "image decoding": lambda n: read(arguments[n])[0].numpy(),
        "encoder, optimized": lambda n: optimized_encoder(pixels[n]).values.numpy(),
        "beam search": lambda n: search(memories[n]).numpy(),
    }
    turns = [lambda n, work=work: work(n % len(images)) for work in functions.values()]
    return dict(zip(functions, medians(turns, repeats), strict=True))


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """Run a server; yield its port when it is ready."""
    command = [
        sys.executable,
        "-m",
        "pipelines.cli.main",
        "serve",
        f"bench={folder}",
        "--port",
        "0",
    ]
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
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while send_request(connection, "/readyz")[0] != 200:
            time.sleep(0.2)
        yield port
        connection.close()
    finally:
        process.terminate()
        process.wait()


def send_request(connection: http.client.HTTPConnection, path: str, body: str | None = None) -> Any:
    """Return the status and the body of a response."""
    connection.request("GET" if body is None else "POST", path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def throughput(port: int, clients: int, seconds: float, images: Sequence[bytes]) -> float:
    """Return the captions per second of concurrent clients with one request each at a time."""
    bodies = [
        json.dumps({"inputs": [{"b64": base64.b64encode(image).decode()}]}) for image in images
    ]
    begin = time.monotonic() + 2  # all clients are active by then
    counts = [0] * clients

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        with contextlib.closing(connection):
            for body in itertools.cycle(bodies[number:] + bodies[:number]):
                status, _ = send_request(connection, "/v1/models/bench:predict", body)
                now = time.monotonic()
                if now > begin + seconds:
                    return
                counts[number] += status == 200 and now > begin

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="run directory of image-captioning")
    parser.add_argument("--images", type=Path, required=True, help="folder of JPEGs")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="duration of each throughput test"
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=60, help="calls per latency")
    arguments = parser.parse_args()
    paths = itertools.islice(sorted(arguments.images.rglob("*.jpg")), arguments.repeats)
    images = [path.read_bytes() for path in paths]
    experiment = load_experiment(arguments.run, beams=BEAMS, n_best=BEAMS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bench"
        version = experiment.model.export(folder, {})
        found = latency(experiment, version, images, arguments.repeats)
        for name, seconds in found.items():
            print(f"{name}: {1000 * seconds:.1f} ms")
        size = experiment.source.preprocessing.description()["image_size"]
        print(
            f"latency, {experiment.config.backbone} at {size} pixels, beam {BEAMS}: "
            f"{found['caption'] / found['encoder']:.2f} × (limit {RATIO_LIMIT})",
            flush=True,
        )
        rates = {}
        for name, options in (("batched", ()), ("unbatched", ("--max-rows", "1"))):
            with server(folder, *options) as port:
                rates[name] = throughput(port, arguments.clients, arguments.seconds, images)
        print(
            f"throughput, {arguments.clients} clients: {rates['batched']:.1f} captions/s batched, "
            f"{rates['unbatched']:.1f} unbatched: {rates['batched'] / rates['unbatched']:.2f} × "
            f"(at least {GAIN_LIMIT:g})"
        )


if __name__ == "__main__":
    main()
