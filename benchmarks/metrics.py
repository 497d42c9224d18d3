"""Seconds per metric, compared with pycocoevalcap's pure-Python scorers on the same tokens.

    python -m benchmarks.metrics

Scores 5,000 captions against 5 references each. The captions are synthetic, with realistic word
frequencies and lengths.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from pipelines.evaluation.metrics import CiderScorer, tokenize
from pipelines.evaluation.metrics.bleu import bleu
from pipelines.evaluation.metrics.rouge import rouge_l

ITEMS = 5000


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Return the seconds of the fastest call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def synthetic_captions(rng: random.Random) -> list[list[str]]:
    """Return groups of captions; those of one item share most of a small set of words."""
    words = [f"w{rank}" for rank in range(3000)]
    weights = [1 / (rank + 2) for rank in range(len(words))]
    groups = []
    for _ in range(ITEMS):
        topic = rng.choices(words, weights, k=20)
        groups.append([" ".join(rng.choices(topic, k=rng.randint(7, 15))) for _ in range(5)])
    return groups


def main() -> None:
    """Print the table."""
    rng = random.Random(0)
    groups = synthetic_captions(rng)
    texts = [caption for group in groups for caption in group]
    references = [[tokenize(caption) for caption in group] for group in groups]
    # A reference with some words changed, about as similar as the caption of a fair model.
    candidates = [
        [word if rng.random() < 0.8 else "thing" for word in rng.choice(group)]
        for group in references
    ]
    truth = {item: [" ".join(words) for words in refs] for item, refs in enumerate(references)}
    given = {item: [" ".join(words)] for item, words in enumerate(candidates)}
    scorer = CiderScorer(references)
    peer_cider = seconds(lambda: Cider().compute_score(truth, given), 1)
    rows: list[tuple[str, float, float | None]] = [
        ("CIDEr-D, references cached", seconds(lambda: scorer.score(candidates)), peer_cider),
        ("CIDEr-D", seconds(lambda: CiderScorer(references).score(candidates)), peer_cider),
        (
            "BLEU-1..4",
            seconds(lambda: bleu(candidates, references)),
            seconds(lambda: Bleu(4).compute_score(truth, given, verbose=0), 1),
        ),
        (
            "ROUGE-L",
            seconds(lambda: rouge_l(candidates, references)),
            seconds(lambda: Rouge().compute_score(truth, given), 1),
        ),
        (f"tokenize {len(texts):,} captions", seconds(lambda: [*map(tokenize, texts)]), None),
    ]
    print(f"{len(candidates):,} captions, {len(texts) / len(candidates):g} references each\n")
    print(f"{'':28} {'wordreel':>10} {'pycocoevalcap':>14} {'faster':>7}")
    for name, ours, theirs in rows:
        peer = f"{theirs:13.3f}s {theirs / ours:6.1f}x" if theirs else ""
        print(f"{name:28} {ours:9.3f}s {peer}")


if __name__ == "__main__":
    main()
