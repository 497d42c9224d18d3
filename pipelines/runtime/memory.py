"""Memory allocation between training steps."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_MEBIBYTE = 2**20


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory; return whether it does (false for other C libraries).

    Each training step allocates and frees the same large blocks, whose pages the kernel would clear
    every time.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    choices = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * _MEBIBYTE))
    return all(libc.mallopt(name, value) == 1 for name, value in choices)
