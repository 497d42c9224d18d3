"""The programs for the tf.data service in the documents: readers share a prepared dataset."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.support import prepared_folders
from tests.support.documents import DOCUMENTS, blocks

written = prepared_folders.written  # a fixture
PROGRAMS = ("dispatcher", "worker", "reader")
CHECK = """
for names, pixels, captions in batches:
    assert pixels.shape == (len(names), 224, 224, 3)
    for name, references in zip(names.numpy().astype(str), captions.numpy().astype(str)):
        assert references.tolist() == [f"an image of {name.removesuffix('.jpg')}"]
        print(name)
"""


class Cluster:
    """Run the programs of the documents in a folder until the context ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stack = folder, ExitStack()
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = str(free.getsockname()[1])

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def run(self, program: str, more: str = "", **changed: str) -> subprocess.Popen[str]:
        """Start a program with some words replaced and code appended."""
        (text,) = named_blocks(program)
        for old, new in {"5050": self.port, **changed}.items():
            assert old in text
            text = text.replace(old, new)
        process = subprocess.Popen(
            [sys.executable, "-c", text + more],
            cwd=self.folder,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
            stdout=subprocess.PIPE,
            stderr=self.stack.enter_context((self.folder / f"{program}.log").open("a")),
            text=True,
        )
        self.stack.enter_context(process)  # closes its pipe at the end
        self.stack.callback(process.kill)
        return process

    def await_workers(self, count: int) -> None:
        """Wait until so many workers are registered with the dispatcher."""
        log = self.folder / "worker.log"
        for _ in range(3000):
            if log.read_text().count("registered with dispatcher") == count:
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text())


def named_blocks(program: str) -> list[str]:
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    return [code for text in texts for _, code in blocks(text, f"python {program}")]


def count_images(*readers: subprocess.Popen[str]) -> Counter[str]:
    """Return how often each image arrived at all readers together."""
    names = [name for reader in readers for name in reader.communicate(timeout=300)[0].split()]
    assert not any(reader.returncode for reader in readers)
    return Counter(names)


def test_every_program_of_the_documents_is_run() -> None:
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    found = [name for text in texts for name in re.findall(r"^```python +(.+)$", text, re.M)]
    assert sorted(found) == sorted(PROGRAMS)


def test_two_readers_of_two_workers_share_every_image(tmp_path: Path, written: list[str]) -> None:
    source = prepared_folders.image_folder(tmp_path / "source", 100)
    text = prepared_folders.build(source, tmp_path / "prepared" / "flickr8k")
    train = int(re.findall(r"^train: (\d+) images", text, re.M)[0])
    assert len(written) > 10
    with Cluster(tmp_path) as cluster:
        cluster.run("dispatcher")
        cluster.run("worker"), cluster.run("worker")
        cluster.await_workers(2)
        shared = count_images(cluster.run("reader", CHECK), cluster.run("reader", CHECK))
        assert len(shared) == train and set(shared.values()) == {1}
        late = cluster.run("reader", CHECK)
        whole = cluster.run("reader", CHECK, DYNAMIC="OFF", first="second")
        assert count_images(late) == {}
        assert count_images(whole) == dict.fromkeys(shared, 2)
