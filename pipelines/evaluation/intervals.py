"""How far scores can be trusted: 95 % confidence intervals, where a split has few examples.

Intervals are percentiles of the scores of 1,000 bootstrap samples of the examples (Efron 1979).
Those of shares, such as the accuracy, are Wilson's (1927): a bootstrap of three correct examples
would be 100 to 100.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

FEW = 300  # examples, below which scores get intervals
UNRELIABLE = 30  # examples, below which scores get a warning
COLLAPSIBLE = 5  # examples, from which equal predictions get a warning
_SAMPLES, _Z = 1000, 1.959964

Intervals = Mapping[str, tuple[float, float]]  # by score, 0 to 100
# Weights of the examples, int `[samples, examples]` → scores `[samples]` by name.
Resample = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def bootstrap(examples: int, resample: Resample) -> dict[str, tuple[float, float]]:
    """Return the intervals of scores that are functions of a weighted set of examples."""
    rng = np.random.default_rng(0)
    weights = rng.multinomial(examples, np.full(examples, 1 / examples), _SAMPLES)
    found = {name: np.percentile(each, [2.5, 97.5]) for name, each in resample(weights).items()}
    return {name: (float(low), float(high)) for name, (low, high) in found.items()}


def wilson(percent: float, examples: int) -> tuple[float, float]:
    """Return the interval of a share, both in percent.

    >>> low, high = wilson(100.0, 3)
    >>> round(low, 1), round(high, 1)
    (43.9, 100.0)
    """
    share, z2 = percent / 100, _Z**2 / examples
    middle = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / 4)) / (1 + z2)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def count_examples(examples: int) -> str:
    """Return a number of examples in words.

    >>> count_examples(1), count_examples(1200)
    ('1 example', '1,200 examples')
    """
    return f"{examples:,} example{'s' * (examples != 1)}"


def format_interval(intervals: Intervals, name: str) -> str:
    """Return the interval of a score with a space before it; "" if it has none.

    >>> format_interval({"accuracy": (43.85, 100.0)}, "accuracy")
    ' [43.9, 100.0]'
    """
    if name not in intervals:
        return ""
    low, high = intervals[name]
    return f" [{low:.1f}, {high:.1f}]"


def reliability_warnings(split: str, examples: int) -> list[str]:
    """Return a warning if a split has too few examples for its scores to mean much."""
    if examples >= UNRELIABLE:
        return []
    return [
        f"warning: {split} has only {count_examples(examples)}: its scores mean little. Compare "
        f"models on at least {UNRELIABLE}, better {FEW}."
    ]
