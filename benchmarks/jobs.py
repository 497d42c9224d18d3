"""What a preparing job reaches of what its parts could do: ratios, from one run.

    python -m benchmarks.jobs [--pictures 8000] [--workers 2]
    python -m benchmarks.jobs --features efficientnet-lite0 efficientnet-lite2 ResNet50
    python -m benchmarks.jobs --memory 1000 10000 100000
    python -m benchmarks.jobs --kills 20 --pictures 2000 [--workers 2]

Pictures are generated: photos of smoothed noise, 640 × 480, stored at most 512 long, so that each
is decoded, shrunk and encoded. Shards of one worker are set against the same libraries in a bare
loop (Pillow on libjpeg-turbo: decode at full size, resize); two workers against one with all that a
job does, with its start and without, beside two bare loops at once (processors that share a core
allow less than twice).

With `--features` shards with features, of those photos and of 224 × 224 ones, beside their pixels
and without, are set against the backbone on pictures that are decoded already, both with the one
thread a worker has: as Keras has it, called with 8 or 32 pictures, whichever is faster, and as jobs
call it, its norms folded. Weights of `keras.applications` are random here.

With `--memory` the largest process is printed, and the one that plans. With `--kills` a job is
ended by `kill -9` at random moments, its first process or all of them, and what it ends in is
compared with a job that was left alone: exit status 1 if a byte differs, a finished shard is lost,
or anything half-made could be read.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import re
import resource
import signal
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
FEW = 96  # pictures of a pass


def pictures(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Write a source of `count` pictures."""
    (folder / "images").mkdir(parents=True)

    def write(number: int) -> None:
        noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        picture.save(folder / "images" / f"{number:06}.jpg", quality=90)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(count)))
    rows = (f"{number:06}.jpg,a picture of number {number}" for number in range(count))
    (folder / "captions.csv").write_text("\n".join(["image,caption", *rows]) + "\n")
    return folder


def best(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest of a few passes."""

    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return min(once() for _ in range(PASSES))


def bare(encoded: list[bytes]) -> None:
    """Decode at full size and resize: what no job can do without."""
    for data in encoded:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)


def together(source: Path, workers: int) -> float:
    """Return how many times more bare loops side by side do than one: what the cores allow."""
    encoded = [path.read_bytes() for path in sorted((source / "images").iterdir())]
    with ThreadPoolExecutor(workers) as pool:  # Pillow frees Python's lock
        both = best(lambda: list(pool.map(bare, [encoded] * workers)))
    return workers * best(lambda: bare(encoded)) / both


def shards_of(
    source: Path, out: Path, encoder: Any, pixels: bool = True
) -> Iterator[tuple[Path, str]]:
    """Plan a job and yield its work, a shard each."""
    from data.sharding.datasets import list_source, preparable
    from data.sharding.shards import Workplace, plan
    from data.sharding.work_items import DIGESTS, hashed

    place = Workplace(out)
    place.folder.mkdir(parents=True)
    options = preparable("folder").options({"image_size": SIDE, "pixels": pixels})
    job = {"dataset": "folder", "options": options, "encoder": encoder, "pixels": pixels}
    entries = list_source("folder", source, options).entries
    planned = plan(hashed(entries, place.folder / DIGESTS), job, 128)
    for shard in place.begin(job, planned):
        yield place.folder, shard.key


def make(work: Iterable[tuple[Path, str]], encoder: Any) -> None:
    """Make shards, one after the other."""
    from data.sharding.shard_writer import write_shard

    for folder, key in work:
        write_shard(folder, key, {}, encoder)


def records(source: Path, scratch: Path) -> None:
    """Print how one worker's shards compare with the bare libraries."""
    encoded = [path.read_bytes() for path in sorted((source / "images").iterdir())]
    work = list(shards_of(source, scratch / "records", None))
    alone = best(lambda: bare(encoded))
    whole = best(lambda: make(work, None))
    print(
        f"records: {FEW / whole:,.0f} pictures/s, decode and resize alone {FEW / alone:,.0f}: "
        f"{alone / whole:.0%}"
    )


def features(backbones: list[str], scratch: Path) -> None:
    """Print how one worker's features compare with the bare backbone."""
    one_thread()
    from pipelines.inputs.frozen_encoder import FrozenEncoder

    sizes = {"640 × 480": (640, 480), "224 × 224": (224, 224)}
    sources = {name: pictures(scratch / name, FEW, size) for name, size in sizes.items()}
    for backbone in backbones:
        wanted = settings_of(backbone, scratch)
        encoder = FrozenEncoder(wanted)
        keras, folded = backbone_alone(encoder)
        print(f"{backbone} alone: {keras:,.1f} pictures/s, folded {folded:,.1f}", flush=True)
        for name, source in sources.items():
            for pixels in (True, False):
                out = scratch / f"{backbone} {name} {pixels}"
                work = list(shards_of(source, out, wanted, pixels))
                pace = FEW / best(partial(make, work, encoder))
                print(
                    f"  of {name} photos, {'beside' if pixels else 'without'} pixels: {pace:,.1f} "
                    f"pictures/s: {pace / keras:.0%}, of the folded one {pace / folded:.0%}",
                    flush=True,
                )


def one_thread() -> None:
    """Compute with one thread, as a worker does."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    quiet_tensorflow()


def settings_of(backbone: str, scratch: Path) -> dict[str, Any]:
    """Return what a job says of an encoder; random weights lie in a file, as jobs want it."""
    from models.backbones.factory import build_backbone
    from pipelines.inputs.frozen_encoder import settings

    if backbone.startswith("efficientnet-lite"):
        return settings(backbone)
    path = scratch / f"{backbone}.keras"
    build_backbone(backbone, weights="random").save(path)
    return settings(str(path))


def backbone_alone(encoder: Any) -> tuple[float, float]:
    """Return how many decoded pictures a second a backbone takes, as it is and folded."""
    import tensorflow as tf

    size = encoder.size
    pixels = tf.random.uniform([32, size, size, 3], 0, 255, tf.int32)
    batch = tf.cast(pixels, tf.uint8)
    plain = tf.function(lambda some: encoder.backbone(tf.cast(some, tf.float32), training=False))

    def pace(function: Any, number: int) -> float:
        parts = tf.split(batch, 32 // number)
        return 32 / best(lambda: [function(part).numpy() for part in parts])

    given, folded = (
        max(pace(function, number) for number in (8, 32)) for function in (plain, encoder.rows)
    )
    return given, folded


def command(source: Path, out: Path, workers: int) -> list[str]:
    """Return the command line of a job."""
    words = ["prepare", "folder", "--source", str(source), "--out", str(out)]
    words += ["--image-size", str(SIDE), f"--direct_num_workers={workers}"]
    code = "import sys; from pipelines.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", code, *words]


def job(source: Path, out: Path, workers: int) -> tuple[float, int]:
    """Return the seconds that a whole job takes, and the most kB of the process that plans."""
    start, most = time.perf_counter(), 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command(source, out, workers), stderr=said, stdout=subprocess.DEVNULL
        )
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            most = max([most, *map(int, re.findall(r"VmHWM:\s+(\d+)", status))])
            time.sleep(0.05)
        if process.returncode:
            said.seek(0)
            sys.exit(said.read().decode())
    return time.perf_counter() - start, most


def speed(given: argparse.Namespace, scratch: Path) -> None:
    """Print the ratios of speed."""
    one_thread()
    source = pictures(scratch / "source", given.pictures, (640, 480))
    few = pictures(scratch / "few", FEW, (640, 480))
    records(few, scratch)
    ceiling = together(few, given.workers)
    start, _ = job(pictures(scratch / "two", 2, (640, 480)), scratch / "start", 1)
    one, _ = job(source, scratch / "one", 1)
    many, _ = job(source, scratch / "many", given.workers)
    alike = digests(scratch / "one") == digests(scratch / "many")
    same = "the same bytes" if alike else "OTHER BYTES"
    print(
        f"{given.pictures:,} pictures, {given.workers} workers: {one / many:.2f} times as fast as "
        f"one ({one:.0f} s, {many:.0f} s), {(one - start) / (many - start):.2f} times without the "
        f"{start:.0f} s that a job of two pictures takes; {same}. "
        f"Bare loops side by side: {ceiling:.2f} times"
    )


def memory(counts: list[int], scratch: Path) -> None:
    """Print the largest process of jobs of several sizes."""
    for count in sorted(counts):
        source = pictures(scratch / f"source{count}", count, (64, 48))
        seconds, planning = job(source, scratch / f"out{count}", len(os.sched_getaffinity(0)))
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(
            f"{count:,} pictures: {seconds:,.0f} s, largest process {largest / 1e3:,.0f} MB, the "
            f"one that plans {planning / 1e3:,.0f} MB",
            flush=True,
        )


def digests(out: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that a job has left to be read."""
    files = [path for path in sorted(out.iterdir()) if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def made(out: Path) -> set[str]:
    """Return the keys of the shards that are finished, wherever they lie."""
    keys = {path.stem for path in (out / ".work").glob("*.json") if len(path.stem) == 32}
    if (manifest := out / "manifest.json").exists():
        keys |= {note["key"] for note in json.loads(manifest.read_text())["shards"].values()}
    return keys


def kills(number: int, count: int, workers: int, scratch: Path) -> None:
    """Kill jobs at random, and compare what they end in with a job that was left alone."""
    source = pictures(scratch / "source", count, (640, 480))  # more work than starting
    seconds, _ = job(source, scratch / "alone", workers)
    whole, chance = digests(scratch / "alone"), random.Random(number)
    shards = len(made(scratch / "alone"))
    print(f"left alone: {seconds:.0f} s, {shards} shards", flush=True)
    killed = finished = under_way = 0
    before: set[str] = set()
    while killed < number or not finished:
        out = scratch / f"out{finished}"
        process = subprocess.Popen(
            command(source, out, workers), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            last = killed == number
            _, said = process.communicate(timeout=None if last else chance.uniform(0, seconds))
        except subprocess.TimeoutExpired:
            killed += 1
            if chance.random() < 0.5:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            now = made(out) if out.exists() else set()
            under_way += 0 < len(now) < shards
            print(f"kill {killed}: {len(now)} shards made", flush=True)
            if before - now:
                sys.exit(f"kill {killed}: {len(before - now)} finished shards are lost")
            if (out / "dataset_info.json").exists() and digests(out) != whole:
                sys.exit(f"kill {killed}: something half-made can be read")
            before = now
            continue
        if process.returncode:
            sys.exit(said.decode())
        if digests(out) != whole:
            sys.exit(f"after {killed} kills: OTHER BYTES")
        finished, before = finished + 1, set()
    print(
        f"killed {killed} times, {under_way} of them with some of {shards} shards made: "
        f"{finished} datasets finished, each in the bytes of a job left alone"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--features", nargs="+", metavar="BACKBONE")
    parser.add_argument("--memory", type=int, nargs="+", metavar="COUNT")
    parser.add_argument("--kills", type=int, metavar="TIMES")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.memory:
            memory(given.memory, Path(folder))
        elif given.features:
            features(given.features, Path(folder))
        elif given.kills:
            kills(given.kills, given.pictures, given.workers, Path(folder))
        else:
            speed(given, Path(folder))


if __name__ == "__main__":
    main()
