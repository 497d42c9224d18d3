"""Clips per second on one core, compared with plain PyAV and decord on the same clips and frames.

    python -m benchmarks.video FOLDER [FOLDER …]

reads 16 frames, the middles of equal segments, of every clip under each folder, as RGB at full
size. Each reader reads all clips several times; the fastest pass counts. Readers that are not
installed are skipped (`pip install decord`).
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.media.sampling import Sampling
from data.media.suffixes import CLIP_SUFFIXES
from data.media.video import sample

COUNT = 16
PASSES = 3


def indices(length: int) -> list[int]:
    """Return the frame numbers in the middle of equal segments."""
    return np.unique(((np.arange(COUNT) + 0.5) * length / COUNT).astype(int)).tolist()


def by_wordreel(path: Path) -> Any:
    """Read with the sampler under test, which also checks that the clip is complete."""
    return sample(path, Sampling(count=COUNT)).frames


def by_pyav(path: Path) -> Any:
    """Decode up to the last selected frame; convert the selected ones."""
    av = importlib.import_module("av")
    with av.open(os.fspath(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        selected = indices(stream.frames)
        frames = list[Any]()
        for number, frame in enumerate(container.decode(stream)):
            if number == selected[len(frames)]:
                frames.append(frame.to_ndarray(format="rgb24"))
                if len(frames) == len(selected):
                    break
    return np.stack(frames)


def by_decord(path: Path) -> Any:
    """Read a batch of frame numbers."""
    decord = importlib.import_module("decord")
    reader = decord.VideoReader(os.fspath(path), num_threads=1)
    return reader.get_batch(indices(len(reader))).asnumpy()


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "wordreel": ("cv2", by_wordreel),
    "PyAV": ("av", by_pyav),
    "decord": ("decord", by_decord),
}


def available() -> dict[str, Callable[[Path], Any]]:
    """Return the installed readers."""
    found = {}
    for name, (module, read) in READERS.items():
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            print(f"{name} is skipped: {error}")
        else:
            found[name] = read
    return found


def seconds(read: Callable[[Path], Any], clips: Sequence[Path]) -> float:
    """Return the CPU seconds of one pass over the clips, robust to other processes."""
    start = time.process_time()
    for clip in clips:
        frames = read(clip)
        assert frames.ndim == 4 and len(frames) <= COUNT
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    folders = [Path(each) for each in sys.argv[1:]]
    if not folders:
        sys.exit(__doc__)
    readers = available()
    print(f"{'':24} {'clips':>6}" + "".join(f"{name:>20}" for name in readers))
    for folder in folders:
        clips = sorted(path for path in folder.rglob("*") if path.suffix.lower() in CLIP_SUFFIXES)
        times = {name: list[float]() for name in readers}
        for _ in range(PASSES):  # interleaved, so that load affects all alike
            for name, read in readers.items():
                times[name].append(seconds(read, clips))
        fastest = {name: min(each) for name, each in times.items()}
        cells = [
            f"{len(clips) / each:9.1f}/s ({each / fastest['wordreel']:5.2f}x)"
            for each in fastest.values()
        ]
        print(f"{folder.name:24} {len(clips):6}" + "".join(f"{cell:>20}" for cell in cells))
    print("\n(…x): CPU time per clip relative to wordreel")


if __name__ == "__main__":
    main()
