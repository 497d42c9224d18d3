"""Throughput of dataset preparation, relative to that of its libraries, within one run.

    python -m benchmarks.jobs [--images 8000] [--workers 2]
    python -m benchmarks.jobs --features efficientnet-lite0 efficientnet-lite2 ResNet50
    python -m benchmarks.jobs --memory 1000 10000 100000

Images are generated: photos of smoothed noise, 640 × 480, stored with at most 512 pixels a side, so
that each is decoded, resized and encoded. One worker is compared with a loop over the same
libraries (Pillow on libjpeg-turbo: decode at full size, resize); two workers are compared with one,
with and without the startup time, and with two such loops in parallel (cores that share hardware
allow less than twice the speed).

`--features` compares shards with features, of those photos and of 224 × 224 ones, with and without
pixels, with the backbone on decoded images, both with one thread, like a worker: as built by
Keras, called with 8 or 32 images, whichever is faster, and as in jobs, with folded batch norms.
Weights of `keras.applications` are random here.

`--memory` prints the peak memory of the largest process and of the planning process.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.runtime.console import quiet_tensorflow

SIDE = 512
PASSES = 3
FEW = 96  # images per pass


def images(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Write an image folder of `count` images with captions."""
    (folder / "images").mkdir(parents=True)

    def write(number: int) -> None:
        noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        image.save(folder / "images" / f"{number:06}.jpg", quality=90)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(count)))
    rows = (f"{number:06}.jpg,image number {number}" for number in range(count))
    (folder / "captions.csv").write_text("\n".join(["image,caption", *rows]) + "\n")
    return folder


def fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of `PASSES` passes."""

    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return min(once() for _ in range(PASSES))


def decode_and_resize(encoded: list[bytes]) -> None:
    """Decode at full size and resize: the minimum work of a job."""
    for data in encoded:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)


def parallel_speedup(source: Path, workers: int) -> float:
    """Return the speedup of parallel loops over one loop: the limit of the cores."""
    encoded = [path.read_bytes() for path in sorted((source / "images").iterdir())]
    with ThreadPoolExecutor(workers) as pool:  # Pillow frees Python's lock
        both = fastest(lambda: list(pool.map(decode_and_resize, [encoded] * workers)))
    return workers * fastest(lambda: decode_and_resize(encoded)) / both


def begin_job(
    source: Path, out: Path, encoder: Any, pixels: bool = True
) -> Iterator[tuple[Path, str]]:
    """Plan a job and yield its shards."""
    from data.sharding.datasets import load_annotations, preparable
    from data.sharding.shards import WorkFolder, plan_shards
    from data.sharding.work_items import DIGESTS, hash_files

    place = WorkFolder(out)
    place.folder.mkdir(parents=True)
    options = preparable("folder").options({"image_size": SIDE, "pixels": pixels})
    job = {"dataset": "folder", "options": options, "encoder": encoder, "pixels": pixels}
    entries = load_annotations("folder", source, options).entries
    planned = plan_shards(hash_files(entries, place.folder / DIGESTS), job, 128)
    for shard in place.begin(job, planned):
        yield place.folder, shard.key


def write_shards(work: Iterable[tuple[Path, str]], encoder: Any) -> None:
    """Write shards one after the other."""
    from data.sharding.shard_writer import write_shard

    for folder, key in work:
        write_shard(folder, key, {}, encoder)


def measure_records(source: Path, scratch: Path) -> None:
    """Print the throughput of one worker relative to that of the libraries."""
    encoded = [path.read_bytes() for path in sorted((source / "images").iterdir())]
    work = list(begin_job(source, scratch / "records", None))
    alone = fastest(lambda: decode_and_resize(encoded))
    whole = fastest(lambda: write_shards(work, None))
    print(
        f"records: {FEW / whole:,.0f} images/s, decode and resize alone {FEW / alone:,.0f}: "
        f"{alone / whole:.0%}"
    )


def measure_features(backbones: list[str], scratch: Path) -> None:
    """Print the throughput of one worker's features relative to that of the backbone."""
    use_one_thread()
    from pipelines.inputs.frozen_encoder import FrozenEncoder

    sizes = {"640 × 480": (640, 480), "224 × 224": (224, 224)}
    sources = {name: images(scratch / name, FEW, size) for name, size in sizes.items()}
    for backbone in backbones:
        settings = encoder_settings(backbone, scratch)
        encoder = FrozenEncoder(settings)
        keras, optimized = backbone_alone(encoder)
        print(f"{backbone} alone: {keras:,.1f} images/s, folded {optimized:,.1f}", flush=True)
        for name, source in sources.items():
            for pixels in (True, False):
                out = scratch / f"{backbone} {name} {pixels}"
                work = list(begin_job(source, out, settings, pixels))
                rate = FEW / fastest(partial(write_shards, work, encoder))
                print(
                    f"  {name} photos, {'with' if pixels else 'without'} pixels: {rate:,.1f} "
                    f"images/s: {rate / keras:.0%}, of the folded one {rate / optimized:.0%}",
                    flush=True,
                )


def use_one_thread() -> None:
    """Use one thread, like a worker."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    quiet_tensorflow()


def encoder_settings(backbone: str, scratch: Path) -> dict[str, Any]:
    """Return the encoder settings of a job; random weights are saved to a file."""
    from models.backbones.factory import build_backbone
    from pipelines.inputs.frozen_encoder import settings

    if backbone.startswith("efficientnet-lite"):
        return settings(backbone)
    path = scratch / f"{backbone}.keras"
    build_backbone(backbone, weights="random").save(path)
    return settings(str(path))


def backbone_alone(encoder: Any) -> tuple[float, float]:
    """Return the images per second of a backbone on decoded images, as built and folded."""
    import tensorflow as tf

    size = encoder.size
    pixels = tf.random.uniform([32, size, size, 3], 0, 255, tf.int32)
    batch = tf.cast(pixels, tf.uint8)
    plain = tf.function(lambda some: encoder.backbone(tf.cast(some, tf.float32), training=False))

    def rate(function: Any, number: int) -> float:
        parts = tf.split(batch, 32 // number)
        return 32 / fastest(lambda: [function(part).numpy() for part in parts])

    as_trained, optimized = (
        max(rate(function, number) for number in (8, 32)) for function in (plain, encoder.rows)
    )
    return as_trained, optimized


def command(source: Path, out: Path, workers: int) -> list[str]:
    """Return the command line of a job."""
    words = ["prepare", "folder", "--source", str(source), "--out", str(out)]
    words += ["--image-size", str(SIDE), f"--direct_num_workers={workers}"]
    code = "import sys; from pipelines.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", code, *words]


def run_job(source: Path, out: Path, workers: int) -> tuple[float, int]:
    """Return the seconds of a whole job, and the peak memory of its planning process in kB."""
    start, max_memory = time.perf_counter(), 0
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command(source, out, workers), stderr=stderr, stdout=subprocess.DEVNULL
        )
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            max_memory = max([max_memory, *map(int, re.findall(r"VmHWM:\s+(\d+)", status))])
            time.sleep(0.05)
        if process.returncode:
            stderr.seek(0)
            sys.exit(stderr.read().decode())
    return time.perf_counter() - start, max_memory


def measure_speed(arguments: argparse.Namespace, scratch: Path) -> None:
    """Print the speed of several workers relative to one."""
    use_one_thread()
    source = images(scratch / "source", arguments.images, (640, 480))
    few = images(scratch / "few", FEW, (640, 480))
    measure_records(few, scratch)
    ceiling = parallel_speedup(few, arguments.workers)
    start, _ = run_job(images(scratch / "two", 2, (640, 480)), scratch / "start", 1)
    one, _ = run_job(source, scratch / "one", 1)
    many, _ = run_job(source, scratch / "many", arguments.workers)
    identical = digests(scratch / "one") == digests(scratch / "many")
    verdict = "the same bytes" if identical else "DIFFERENT BYTES"
    print(
        f"{arguments.images:,} images, {arguments.workers} workers: {one / many:.2f} times as fast "
        f"as one ({one:.0f} s, {many:.0f} s), {(one - start) / (many - start):.2f} times without "
        f"the {start:.0f} s of a job of two images; {verdict}. "
        f"Parallel loops: {ceiling:.2f} times"
    )


def measure_memory(counts: list[int], scratch: Path) -> None:
    """Print the peak memory of jobs of several sizes."""
    for count in sorted(counts):
        source = images(scratch / f"source{count}", count, (64, 48))
        seconds, planning = run_job(source, scratch / f"out{count}", len(os.sched_getaffinity(0)))
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(
            f"{count:,} images: {seconds:,.0f} s, largest process {largest / 1e3:,.0f} MB, "
            f"planning process {planning / 1e3:,.0f} MB",
            flush=True,
        )


def digests(out: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a dataset."""
    files = [path for path in sorted(out.iterdir()) if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--features", nargs="+", metavar="BACKBONE")
    parser.add_argument("--memory", type=int, nargs="+", metavar="COUNT")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.memory:
            measure_memory(arguments.memory, Path(folder))
        elif arguments.features:
            measure_features(arguments.features, Path(folder))
        else:
            measure_speed(arguments, Path(folder))


if __name__ == "__main__":
    main()
