"""How the process keeps its memory between the steps of training."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_MEBIBYTE = 2**20


def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, where it is glibc; return whether it does.

    Each step of training takes and frees the same large blocks. By default glibc gives them back
    to the kernel, which clears every page before it lends it again.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    choices = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * _MEBIBYTE))
    return all(libc.mallopt(name, value) == 1 for name, value in choices)
