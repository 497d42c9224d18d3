"""`wordreel check`: text, JSON and page; texts are checked without TensorFlow."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.common.errors import UserError
from pipelines.cli import check
from pipelines.cli.main import run
from pipelines.config.config import Config
from tests.support.paths import ROOT
from tests.support.source_files import fill
from tests.support.video_files import write_clip


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep prepared data out of the user's cache; do not redirect stderr."""
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")


@pytest.fixture(autouse=True)
def small_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimate the time of a small backbone."""
    whole = check._config

    def config(*arguments: Any) -> Config:
        return dataclasses.replace(whole(*arguments), backbone="small-cnn")

    monkeypatch.setattr(check, "_config", config)


def blocks(seed: int) -> np.ndarray:
    colors = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(colors, (320, 240), interpolation=cv2.INTER_CUBIC))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Images with captions: a copy in another split, a damaged and a missing one."""
    rows, files = ["image,caption,split"], dict[str, Any]()
    for number in range(8):
        split = "train" if number < 6 else "test" if number < 7 else "validation"
        rows.append(f"{number}.jpg,the dog is on the sofa {number},{split}")
        files[f"images/{number}.jpg"] = cv2.imencode(".jpg", blocks(number % 6))[1].tobytes()
    files["images/cut.jpg"] = files["images/1.jpg"][:500]
    rows += ["cut.jpg,the cut one,train", "gone.jpg,the missing one,train", "2.jpg,x,tset"]
    return fill(tmp_path / "set", {**files, "captions.csv": "\n".join(rows) + "\n"})


def names(found: dict[str, Any]) -> set[str]:
    return {each["name"] for each in found["findings"] if each["level"] == "warning"}


def test_images_are_checked_and_written_as_json_and_as_a_page(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    words = ["check", "folder", "--source", str(source)]
    assert run([*words, "--json", "--html", str(page)]) == 1
    found = json.loads(capfd.readouterr().out)
    assert names(found) >= {"problem", "few_examples", "undecodable", "across_splits"}
    by_name = {each["name"]: each for each in found["findings"]}
    assert by_name["splits"]["splits"] == {"train": 7, "test": 1, "validation": 1}
    assert by_name["across_splits"]["examples"] == [
        {"text": "same image: 6.jpg (test) and 0.jpg (train)", "files": ["6.jpg", "0.jpg"]},
        {"text": "same image: 7.jpg (validation) and 1.jpg (train)", "files": ["7.jpg", "1.jpg"]},
    ]
    assert by_name["undecodable"]["examples"][0]["text"].startswith("cut.jpg: ")
    assert "--min-count 1" in by_name["small_data"]["text"]
    assert by_name["encoding"]["images"] == 9 and "small-cnn" in by_name["encoding"]["text"]
    problems = [each for each in found["findings"] if each["name"] == "problem"]
    assert {each["reason"]: each["left_out"] for each in problems} == {
        "missing": True, "unknown split": True
    }  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == 4 and "same image in two splits (2)" in text
    assert "http" not in re.sub(r"data:[^\"]*", "", text)
    assert run(words) == 1
    printed = capfd.readouterr().out
    assert "    gone.jpg (captions.csv:11)\n" in printed and re.search(
        r"\n\d+ warnings\n$", printed
    )


def test_texts_are_checked_without_tensorflow(tmp_path: Path) -> None:
    rows = [
        f"{'good' if n % 2 else 'bad'} film number {n},{'good' if n % 2 else 'bad'}"
        for n in range(40)
    ]
    rows[8] = "good film number 8,bad"
    rows.append("good film number 8,good")
    source = fill(tmp_path, {"set/texts.csv": "text,label\n" + "\n".join(rows) + "\n"}) / "set"
    words = ["check", "texts", "--source", str(source), "--mislabeled", "--json"]
    code = (
        "import sys; from pipelines.cli.main import run; run(sys.argv[1:]); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"few_examples", "mislabeled"} <= names(found)
    (suspicious,) = (each for each in found["findings"] if each["name"] == "mislabeled")
    assert suspicious["examples"][0]["text"].startswith("texts.csv:10: 'bad', probably 'good'")
    (splits,) = (each for each in found["findings"] if each["name"] == "splits")
    # In one split, both texts are reported as contradictory; else the training text is left out.
    assert sum(splits["splits"].values()) in (40, 41)


def test_pairs_are_checked_in_the_languages_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"the dog {n} is in the house" for n in range(12)]
    others = [*(f"der Hund {n} ist in dem Haus und im Hof" for n in range(8)), *texts[8:]]
    files = {"train.en": "\n".join(texts), "train.de": "\n".join(others)}
    source = fill(tmp_path, {**files, "dev.en": "a cat\n", "dev.de": "eine Katze\n"})
    words = ["check", "pairs", "--source", str(source), "--json"]
    assert run([*words, "--languages", "en-de"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert "copied" in names(found)
    languages = [each for each in found["findings"] if each["name"] == "languages"]
    assert [each["section"] for each in languages] == ["Texts", "Translations"]
    assert [each["level"] for each in languages] == ["note", "warning"]


def test_clips_are_checked_in_the_language_and_fold_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    for number in range(10):
        write_clip(tmp_path / f"videos/v{number}.avi", range(40 * number, 40 * number + 10))
    for part, numbers in (("training", range(8)), ("validation", range(8, 10))):
        rows = [
            {"videoID": f"v{n}", "enCap": [f"a dog {n}"], "chCap": [f"第{n}只狗"]} for n in numbers
        ]
        fill(tmp_path, {f"vatex_{part}_v1.0.json": rows})
    words = ["check", "vatex", "--source", str(tmp_path), "--json"]
    run([*words, "--language", "zh"])
    by_name = {each["name"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
    assert by_name["languages"]["languages"] == {"Chinese": 10}
    assert by_name["encoding"]["images"] == 160
    labels = "".join(f"v{n}.avi,{'ab'[n % 2]}\n" for n in range(10))
    fill(tmp_path / "own", {"labels.csv": f"clip,label\n{labels}"})
    (tmp_path / "videos").rename(tmp_path / "own/clips")
    run(["check", "clip-folder", "--source", str(tmp_path / "own"), "--json", "--fold", "2"])
    by_name = {each["name"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
    assert by_name["splits"]["splits"] == {"train": 7, "validation": 1, "test": 2}


def test_generated_data_are_checked_without_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "digits"]) == 0
    assert "train: 10 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("folder", "folder needs --source DIR"),
        ("foldr", "unknown dataset 'foldr': did you mean 'folder'"),
        ("folder --source nowhere", "no such folder: nowhere"),
        ("folder --source . --languages en-de", "folder has no option --languages"),
        ("folder --source . --fold 2", "folder has no option --fold"),
        ("digits --near 40", "--near must be between 0 and 32"),
        ("digits --mislabeled", "--mislabeled is for labels of files or texts"),
    ],
)
def test_mistakes_are_errors(words: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        run(["check", *words.split()])
