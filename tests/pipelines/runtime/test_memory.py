"""Freed memory is reused: measured by page faults in a new process."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from pipelines.runtime.memory import keep_freed_memory

if "keep" in sys.argv:
    assert keep_freed_memory()
for _ in range(3):
    np.ones(4 << 20)  # 32 MiB: more than glibc ever keeps by itself
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(4 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_large_blocks_are_allocated_once() -> None:
    assert faults("keep") < faults() / 10
