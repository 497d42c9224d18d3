"""`--monitor`: the validation score that selects the best epoch, and which value is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from data.common.errors import unknown

LOSS = "val_loss"  # its key in the history
LOWER_IS_BETTER = frozenset({LOSS, "WER"})
SCORES: Mapping[str, tuple[str, ...]] = {  # by the answer of a task; a dataset may lack some
    "caption": (
        *("CIDEr-D", "CIDEr", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "WER"),
        *("distinct", "fully_correct"),
    ),
    "translation": ("BLEU", "chrF2", "exact", "distinct"),
    "label": ("accuracy", "top-5", "macro-F1"),
}


def find_monitor(name: str, scores: Iterable[str]) -> str:
    """Return the key in the history of a score, or of the loss; case is ignored.

    >>> find_monitor("cider-d", SCORES["caption"]), find_monitor("loss", SCORES["label"])
    ('CIDEr-D', 'val_loss')

    Raises:
        UserError: if it is not among `scores`.
    """
    keys = {score.lower(): score for score in scores} | {"loss": LOSS}
    key = name.lower().removeprefix("val_")
    if key not in keys:
        raise unknown("score of --monitor", name.lower(), keys)
    return keys[key]


def rank(record: Mapping[str, float], monitor: str) -> float:
    """Return a value of an epoch that is higher for a better one; records may lack the score."""
    value = record.get(monitor, float("inf") if monitor in LOWER_IS_BETTER else float("-inf"))
    return -value if monitor in LOWER_IS_BETTER else value
