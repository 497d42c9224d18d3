"""The ids of the special tokens."""

from __future__ import annotations

PAD, START, END, UNKNOWN = 0, 1, 2, 3  # as in data/media/vocabulary.py; a test compares them
