from __future__ import annotations

import pytest

from data.common.errors import UserError
from pipelines.config.monitor import LOSS, SCORES, find_monitor, rank


@pytest.mark.parametrize(
    "name, answer, key",
    [
        ("BLEU-4", "caption", "BLEU-4"),
        ("val_bleu-4", "caption", "BLEU-4"),
        ("chrf2", "translation", "chrF2"),
        ("loss", "label", LOSS),
        ("val_loss", "label", LOSS),
    ],
)
def test_a_score_is_found_in_any_case(name: str, answer: str, key: str) -> None:
    assert find_monitor(name, SCORES[answer]) == key


def test_an_unknown_score_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'cidr': did you mean 'cider' or 'cider-d'\?"):
        find_monitor("cidr", SCORES["caption"])


def test_a_lower_loss_and_a_higher_score_are_better() -> None:
    worse, better = {LOSS: 2.0, "WER": 50.0, "BLEU": 10.0}, {LOSS: 1.0, "WER": 40.0, "BLEU": 20.0}
    for name in worse:
        assert rank(better, name) > rank(worse, name) > rank({}, name)
