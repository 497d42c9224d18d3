"""Limits on input files, in training and in serving; imports nothing heavy."""

from __future__ import annotations

# Width × height in the header of an image or clip. Decoded, such an image takes 240 MB; cameras of
# 2024 make 50 million pixels, 8K video has 33 million.
MAX_PIXELS = 80_000_000
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # the beginning of a file not fetched
