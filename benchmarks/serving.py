"""Speed of an export: a caption beside the encoder alone, and many clients beside one by one.

    python -m benchmarks.serving RUN --pictures DIR [--seconds 10] [--clients 16] [--repeats 60]

The captioner of a run directory is exported anew with a beam of 3; the run's data must be where it
was. Then

- latency: JPEGs of the folder to their captions, one at a time, by the export, beside the forward
  pass of backbone and encoder, as they were trained, on the same pictures already decoded; and the
  parts of the export by themselves. Medians, taken in turns.
- throughput: a server with the default batching beside one that takes one row at a time
  (`--max-rows 1`), each asked for so many seconds by so many clients at once, here.

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
from pipelines.evaluation.captions import search_options
from pipelines.tasks.assembly import Experiment, load_run

BEAMS = 3
RATIO_LIMIT, GAIN_LIMIT = 1.3, 2.0


def medians(works: Sequence[Callable[[int], Any]], repeats: int) -> list[float]:
    """Return the median seconds of each, called with 0, 1, …, in turns, all on the same machine."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(-3, repeats):
        for work, taken in zip(works, times, strict=True):
            start = time.perf_counter()
            work(max(turn, 0))
            if turn >= 0:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def latency(
    experiment: Experiment, version: Path, pictures: Sequence[bytes], repeats: int
) -> dict[str, float]:
    """Return the median seconds of the export, of the encoder and of the export's parts."""
    model, read_in_graph = experiment.model, experiment.source.preprocessing.read_in_graph
    folded, options = model.optimize_for_inference(), search_options(experiment.config)
    caption = tf.saved_model.load(str(version)).signatures["serving_default"]
    given = [tf.constant([picture]) for picture in pictures]
    pixels = [read_in_graph(each)[0] for each in given]
    read = tf.function(read_in_graph, autograph=False)
    forward = tf.function(model.encode, autograph=False)
    quick = tf.function(folded.encode, autograph=False)
    memories = [forward(each) for each in pixels]

    @tf.function(autograph=False)
    def search(memory: Any) -> Any:
        step, state, cache = folded.head.prepare_search(memory)
        return beam_search(step, state, cache, 1, options).tokens

    works = {
        "a caption": lambda n: caption(image_bytes=given[n])["caption"].numpy(),
        "the encoder alone": lambda n: forward(pixels[n]).values.numpy(),
        "reading": lambda n: read(given[n])[0].numpy(),
        "the encoder as exported": lambda n: quick(pixels[n]).values.numpy(),
        "the search": lambda n: search(memories[n]).numpy(),
    }
    turns = [lambda n, work=work: work(n % len(pictures)) for work in works.values()]
    return dict(zip(works, medians(turns, repeats), strict=True))


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    """Run a server; give its port once it is ready."""
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
        while ask(connection, "/readyz")[0] != 200:
            time.sleep(0.2)
        yield port
        connection.close()
    finally:
        process.terminate()
        process.wait()


def ask(connection: http.client.HTTPConnection, path: str, body: str | None = None) -> Any:
    """Return the status and the body of an answer."""
    connection.request("GET" if body is None else "POST", path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def throughput(port: int, clients: int, seconds: float, pictures: Sequence[bytes]) -> float:
    """Return the captions a second that so many clients get, each asking one at a time."""
    bodies = [
        json.dumps({"inputs": [{"b64": base64.b64encode(picture).decode()}]})
        for picture in pictures
    ]
    begin = time.monotonic() + 2  # by then all are at work
    counts = [0] * clients

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        with contextlib.closing(connection):
            for body in itertools.cycle(bodies[number:] + bodies[:number]):
                status, _ = ask(connection, "/v1/models/bench:predict", body)
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
    parser.add_argument("run", type=Path, help="a run directory of image-captioning")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder with JPEGs in it")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each throughput")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=60, help="of each latency")
    given = parser.parse_args()
    paths = itertools.islice(sorted(given.pictures.rglob("*.jpg")), given.repeats)
    pictures = [path.read_bytes() for path in paths]
    experiment = load_run(given.run, beams=BEAMS, n_best=BEAMS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bench"
        version = experiment.export(folder, {})
        found = latency(experiment, version, pictures, given.repeats)
        for name, seconds in found.items():
            print(f"{name}: {1000 * seconds:.1f} ms")
        size = experiment.source.preprocessing.description()["image_size"]
        print(
            f"latency, {experiment.config.backbone} at {size} pixels, beam {BEAMS}: "
            f"{found['a caption'] / found['the encoder alone']:.2f} × (limit {RATIO_LIMIT})",
            flush=True,
        )
        rates = {}
        for name, asked in (("batched", ()), ("one by one", ("--max-rows", "1"))):
            with server(folder, *asked) as port:
                rates[name] = throughput(port, given.clients, given.seconds, pictures)
        print(
            f"throughput, {given.clients} clients: {rates['batched']:.1f} captions/s batched, "
            f"{rates['one by one']:.1f} one by one: {rates['batched'] / rates['one by one']:.2f} × "
            f"(at least {GAIN_LIMIT:g})"
        )


if __name__ == "__main__":
    main()
