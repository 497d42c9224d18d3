"""The report of problems, and the limit on bad examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.annotations.entries import Problem
from data.annotations.problems import check_share, read_report, write_report
from data.common.errors import UserError


def test_a_name_that_is_not_unicode_can_be_reported(tmp_path: Path) -> None:
    problems = [Problem("caf\udce9.jpg", "missing", "a:1")]
    write_report(tmp_path / "problems.jsonl", problems)
    assert read_report(tmp_path / "problems.jsonl") == problems


def test_the_share_of_bad_images_is_limited(tmp_path: Path) -> None:
    problems = [Problem("é.jpg", "missing", "a:1"), Problem("é.jpg", "without captions", "a:2")]
    problems += [Problem("b.jpg", "caption too long: 201 words", "a:3", bad=False)]
    report = tmp_path / "problems.jsonl"
    write_report(report, problems)
    assert read_report(report) == problems
    assert json.loads(report.read_text("utf-8").splitlines()[0]) == {
        "file": "é.jpg", "reason": "missing", "where": "a:1", "bad": True
    }  # fmt: skip
    check_share("x", problems, total=100, max_bad=0.01, report=report, kind="image")
    with pytest.raises(UserError) as error:
        check_share("x", problems, total=9, max_bad=0.01, report=report, kind="image")
    assert "1 of 9 images (11.1%) have problems, more than the 1.0% allowed" in str(error.value)
    assert "1 missing, 1 without captions" in str(error.value)
    assert str(report) in str(error.value)
    assert "The first: a:1: missing" in str(error.value)
    # The number it offers is enough.
    enough = float(str(error.value).rpartition("--max-bad ")[2])
    check_share("x", problems, total=9, max_bad=enough, report=report, kind="image")
    with pytest.raises(UserError, match=r"Fix them$"):  # without them nothing would be left
        check_share("x", problems, total=1, max_bad=0.01, report=report, kind="image")


@pytest.mark.parametrize(("bad", "total", "fine"), [(1, 9, False), (1, 10, True), (2, 42, True),
                                                     (3, 42, False), (3, 300, True)])  # fmt: skip
def test_a_small_set_may_lose_a_file_or_two(
    tmp_path: Path, bad: int, total: int, fine: bool
) -> None:
    problems = [Problem(f"{number}.jpg", "undecodable: cut short", "") for number in range(bad)]

    def check(max_bad: float) -> None:
        report = tmp_path / "problems.jsonl"
        check_share("x", problems, total=total, max_bad=max_bad, report=report, kind="image")

    if fine:
        check(0.01)
    else:
        with pytest.raises(UserError, match=f"{bad} of {total} images"):
            check(0.01)
    with pytest.raises(UserError, match=r"The first: 0\.jpg: undecodable"):
        check(0)
