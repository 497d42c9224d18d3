from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from data.common.errors import UserError
from pipelines.cli.main import run
from pipelines.config.config import Config
from tests.support.run_folders import write_run

Printed = pytest.CaptureFixture[str]
CONFIG = Config(task="text-classification", data="texts")


def scores(value: float, signature: str = "items:24|version:0.3.0", **more: Any) -> dict[str, Any]:
    intervals = {"accuracy": [value - 10, value + 10]}
    return {"accuracy": value, "examples": 24, "intervals": intervals, "signature": signature}


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    other = dataclasses.replace(CONFIG, units=7, beams=9)  # beams: not of this task
    first = write_run(tmp_path / "a", CONFIG, {"test": scores(80.0)})
    newer = scores(70.0, "items:24|version:0.4.0")
    second = write_run(tmp_path / "b", other, {"test": newer})
    return [str(first), str(second)]


def compare(capsys: Printed, *words: str) -> list[str]:
    assert run(["compare", *words]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_options_and_scores_are_shown_side_by_side(pair: list[str], capsys: Printed) -> None:
    assert compare(capsys, *pair) == [
        "option a b",
        "--units 512 7",
        "",
        "score a b",
        "state complete, 2 epochs complete, 2 epochs",
        "test: accuracy 80.0 [70.0, 90.0] 70.0 [60.0, 80.0]",
        "test: examples 24 24",
        "",
    ]


def test_json_and_a_page_have_the_same(pair: list[str], tmp_path: Path, capsys: Printed) -> None:
    page = tmp_path / "page.html"
    run(["compare", *pair, "--json", "--html", str(page)])
    record = json.loads(capsys.readouterr().out)
    assert record["warnings"] == []
    assert record["runs"]["b"]["splits"]["test"]["accuracy"] == 70.0
    assert record["runs"]["b"]["options"]["units"] == 7
    text = page.read_text(encoding="utf-8")
    assert "<td>--units</td><td>512</td><td>7</td>" in text
    assert "<td>80.0 [70.0, 90.0]</td><td>70.0 [60.0, 80.0]</td>" in text
    assert "--accent:" in text and "http" not in text


@pytest.mark.parametrize(
    "config, splits, pin, warning",
    [
        (CONFIG, None, "a", "is not complete (stopped, epoch 2 of 10): it has no scores"),
        (Config(), {}, "a", "different tasks (image-captioning, text-classification): their"),
        (
            dataclasses.replace(CONFIG, data="sst2"),
            {},
            "a",
            "different datasets (sst2, texts): their scores cannot be compared",
        ),
        (CONFIG, {"test": scores(1.0)}, "b", "the content of the dataset has changed between"),
        (CONFIG, {"dev": scores(1.0)}, "a", "test was not scored in"),
        (
            CONFIG,
            {"test": scores(1.0, "items:9|version:0.3.0")},
            "a",
            "test: different signatures: items:24 and items:9",
        ),
    ],
)
def test_what_cannot_be_compared_is_named(
    config: Config,
    splits: dict[str, Any] | None,
    pin: str,
    warning: str,
    pair: list[str],
    tmp_path: Path,
    capsys: Printed,
) -> None:
    other = write_run(tmp_path / "c", config, splits, pin=pin)
    assert any(warning in line for line in compare(capsys, pair[0], str(other)))


def test_mistakes_are_named(pair: list[str], tmp_path: Path) -> None:
    for words in ([pair[0]], [pair[0], pair[0]]):
        with pytest.raises(UserError, match="two or more different runs"):
            run(["compare", *words])
    with pytest.raises(UserError, match="is not a run directory: it has no config"):
        run(["compare", pair[0], str(tmp_path)])
