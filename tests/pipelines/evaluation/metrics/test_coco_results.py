"""Result files in COCO's format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.common.errors import UserError
from pipelines.evaluation.metrics.coco_results import read_results, write_results

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(candidates=st.dictionaries(TEXT | st.integers(min_value=0).map(str), TEXT))
def test_results_round_trip(
    tmp_path_factory: pytest.TempPathFactory, candidates: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("results") / "results.json"
    write_results(path, candidates)
    assert list(read_results(path).items()) == list(candidates.items())


def test_numeric_ids_are_numbers_as_in_coco(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, {"42": "a dog", "0": "b", "007": "c", "7.jpg": "狗", "²": "d", "٣": "e"})
    results = json.loads(path.read_text(encoding="utf-8"))
    assert [result["image_id"] for result in results] == [42, 0, "007", "7.jpg", "²", "٣"]
    assert results[3] == {"image_id": "7.jpg", "caption": "狗"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "results.json is not JSON: "),
        ('{"images": []}', "a JSON dict; COCO's results are a list"),
        ('[{"image_id": 1}]', r'entry 0 must have .* not {"image_id": 1}'),
        ('[{"image_id": 1.5, "caption": "a"}]', "entry 0 must have an image_id"),
        ('[{"image_id": true, "caption": "a"}]', "entry 0 must have an image_id"),
        ('[{"image_id": 1, "caption": "a"}, {"image_id": 2, "caption": null}]', "entry 1 must"),
        ('[{"image_id": 1, "caption": "a"}, {"image_id": "1", "caption": "a"}]', "1 occurs twice"),
    ],
)
def test_malformed_results_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_results(path)
