from __future__ import annotations

import csv
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.common.errors import UserError
from pipelines.cli.main import COMMANDS, run
from tests.support.paths import ROOT
from tests.support.source_files import fill
from tests.support.tiny.captioner import SOURCE, VOCABULARY, encode, smooth_image, tiny_captioner
from tests.support.unverified_exports import unverified_exports

# a warning of protobuf about TFDS 4.9.10
pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")

Printed = pytest.CaptureFixture[str]


def jpeg(seed: int) -> bytes:
    return encode(smooth_image(seed))


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep prepared data out of the user's cache; do not redirect stderr."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDREEL_DATA_DIR", str(folder))
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
        yield folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write twelve images with two captions each, in three splits."""
    rows = ["image,caption,split"]
    for number in range(12):
        split = "train" if number < 6 else "validation" if number < 9 else "test"
        rows += [f"{number}.jpg,a red dog runs {number},{split}"]
        rows += [f"{number}.jpg,the dog number {number} sleeps,{split}"]
    files: dict[str, Any] = {f"images/{number}.jpg": jpeg(number) for number in range(12)}
    files["captions.csv"] = "\n".join(rows) + "\n"
    return fill(tmp_path_factory.mktemp("source"), files)


@pytest.fixture(scope="module")
def run_dir(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export an untrained tiny model into a run directory."""
    from models.search.hypotheses import SearchOptions
    from pipelines.config.config import Config
    from pipelines.export.captions import export

    options = SearchOptions(beams=2, n_best=2, max_words=4, min_words=2, length_penalty=1.0)
    folder = tmp_path_factory.mktemp("run")
    info = {"config": json.loads(Config(data="folder", source=str(source)).to_json())}
    with unverified_exports():
        export(tiny_captioner(), SOURCE, VOCABULARY, options, folder / "export", info)
    return folder


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Load an export once for all commands."""
    import tensorflow as tf

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", functools.cache(tf.saved_model.load))
        yield


@pytest.fixture(scope="module")
def expected(run_dir: Path, source: Path) -> dict[str, Any]:
    """Return the predictions of the export, by file name."""
    from pipelines.serving.client.predictors import Captioner

    images = sorted((source / "images").iterdir())
    answers = {
        image.name: answer
        for image, answer in zip(images, Captioner(run_dir).predict(images), strict=True)
    }
    best = {name: answer.sentences[0] for name, answer in answers.items()}
    assert best["1.jpg"] not in (best["2.jpg"], best["3.jpg"])
    assert len(set(best.values())) > 3
    return answers


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), int)


def command(*words: Path | str) -> int:
    return run([str(word) for word in words])


def test_caption_prints_a_line_per_image(
    run_dir: Path, source: Path, expected: dict[str, Any], capsys: Printed
) -> None:
    images = [source / "images" / name for name in ("3.jpg", "1.jpg")]
    assert command("caption", run_dir, *images) == 0
    assert capsys.readouterr().out == "".join(
        f"{image}: {expected[image.name].sentences[0]}\n" for image in images
    )


def test_caption_reads_the_images_of_a_folder(
    run_dir: Path, expected: dict[str, Any], tmp_path: Path, capsys: Printed
) -> None:
    folder = fill(tmp_path, {"b.JPG": jpeg(2), "a.jpg": jpeg(1), "notes.txt": "not an image"})
    assert command("caption", run_dir / "export" / "1", folder) == 0
    assert capsys.readouterr().out == (
        f"{folder / 'a.jpg'}: {expected['1.jpg'].sentences[0]}\n"
        f"{folder / 'b.JPG'}: {expected['2.jpg'].sentences[0]}\n"
    )


def test_n_best_and_json_print_all_candidates(
    run_dir: Path, source: Path, expected: dict[str, Any], capsys: Printed
) -> None:
    image, answer = source / "images" / "5.jpg", expected["5.jpg"]
    assert len(answer.sentences) == 2
    assert command("caption", run_dir, image, "--n-best", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{image}:"
    for line, text, score in zip(lines[1:], answer.sentences, answer.scores, strict=True):
        assert line.split(None, 1) == [f"{score:.3f}", text]
    assert command("caption", run_dir, image, image, "--n-best", "2", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert (record["picture"], record["problem"]) == (str(image), None)
    assert [each["caption"] for each in record["captions"]] == answer.sentences
    assert np.allclose([each["score"] for each in record["captions"]], answer.scores, atol=1e-4)


def test_invalid_images_are_reported_and_do_not_affect_others(
    run_dir: Path, expected: dict[str, Any], tmp_path: Path, capsys: Printed
) -> None:
    fill(tmp_path, {"good.jpg": jpeg(4), "cut.jpg": jpeg(5)[:200], "empty.png": b""})
    names = ["cut.jpg", "good.jpg", "empty.png"]
    images = [tmp_path / name for name in names]
    assert command("caption", run_dir, *images) == 1
    out, stderr = capsys.readouterr()
    assert out == f"{tmp_path / 'good.jpg'}: {expected['4.jpg'].sentences[0]}\n"
    for name, reason in [("cut", "cut short"), ("empty", "empty file")]:
        assert re.search(rf"^wordreel: .*{name}\.\w+: {reason}", stderr, re.MULTILINE), stderr
    assert command("caption", run_dir, *images, "--json") == 1
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [bool(record["problem"]) for record in records] == [True, False, True]
    assert [len(record["captions"]) for record in records] == [0, 1, 0]


def test_predictions_are_written_as_csv_and_to_files(
    run_dir: Path, expected: dict[str, Any], tmp_path: Path, capsys: Printed
) -> None:
    files = {"b/4.jpg": jpeg(4), "a.HEIC": "x", "cut.jpg": jpeg(5)[:200]}
    fill(tmp_path, {**files, "list.csv": "name\nb/4.jpg\ngone.jpg\n"})
    answer, where = expected["4.jpg"], tmp_path / "b" / "4.jpg"
    assert command("caption", run_dir, tmp_path, "--csv", "--n-best", "2") == 1
    out, stderr = capsys.readouterr()
    header, *rows = csv.reader(out.splitlines())
    assert header == ["image", "caption_1", "score_1", "caption_2", "score_2", "problem"]
    assert [row[0] for row in rows] == [str(where), str(tmp_path / "cut.jpg")]
    assert [rows[0][1], rows[0][3], rows[0][5]] == [*answer.sentences, ""]
    assert rows[1][1:] == ["", "", "", "", "cut short"]
    assert "2 of 4 files are left out, 1 .heic, 1 .csv: a.HEIC, list.csv" in stderr
    table: list[Path | str] = [tmp_path / "list.csv", "--column", "name"]
    assert command("caption", run_dir, "--out", tmp_path / "o.jsonl", *table) == 1
    records = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [record["picture"] for record in records] == [str(where), str(tmp_path / "gone.jpg")]
    assert records[0]["captions"][0]["caption"] == answer.sentences[0]
    assert command("caption", run_dir, where, "--out", tmp_path / "o.txt") == 0
    assert (tmp_path / "o.txt").read_text() == f"{where}: {answer.sentences[0]}\n"


def test_wrong_arguments_are_refused_before_tensorflow_is_loaded(
    run_dir: Path, source: Path, tmp_path: Path
) -> None:
    image, other = (str(source / "images" / name) for name in ("0.jpg", "1.jpg"))
    (tmp_path / "empty").mkdir()
    for words, part in (
        ([str(tmp_path / "gone.jpg")], "no such file or folder"),
        ([image, str(tmp_path / "empty")], "no image in"),
        ([image, other, "--attention", "x.png"], "name a folder"),
        ([image, "--n-best", "3"], "--n-best must be from 1 to 2"),
        ([image, "--subtitles", "x.vtt"], "requires a model for clips"),
    ):
        python = [sys.executable, "-X", "importtime", "-m", "pipelines.cli.main"]
        done = subprocess.run(
            [*python, "caption", str(run_dir), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2 and part in done.stderr
        assert not re.search(r"\| +(tensorflow|numpy|PIL)\b", done.stderr)
    with pytest.raises(UserError, match="is an export of another task: use wordreel caption"):
        command("classify", run_dir, image)


def test_attention_is_plotted_for_each_image(
    run_dir: Path, source: Path, tmp_path: Path, capsys: Printed
) -> None:
    first, second = source / "images" / "0.jpg", tmp_path / "other" / "0.jpg"
    fill(tmp_path, {"other/0.jpg": jpeg(7), "bad.jpg": "not an image"})
    assert command("caption", run_dir, first, "--attention", tmp_path / "one.png") == 0
    with Image.open(tmp_path / "one.png") as plot:
        assert plot.format == "PNG"
    code = command(
        "caption", run_dir, first, second, tmp_path / "bad.jpg", "--attention", tmp_path / "looks"
    )
    assert code == 1
    assert {path.name for path in (tmp_path / "looks").iterdir()} == {"0.png", "0-2.png"}
    alone, in_batch, other = (
        np.asarray(Image.open(tmp_path / name), int)
        for name in ("one.png", "looks/0.png", "looks/0-2.png")
    )
    assert np.abs(alone - in_batch).max() <= 2  # batches of one and of two round differently
    assert alone.shape != other.shape or np.abs(alone - other).max() > 50


def test_searches_are_those_of_the_export(run_dir: Path, source: Path, capsys: Printed) -> None:
    from pipelines.serving.client.predictors import Captioner

    images = sorted((source / "images").iterdir())

    def lines(*words: str) -> list[str]:
        assert command("caption", run_dir, source / "images", *words) == 0
        return [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]

    greedy = Captioner(run_dir, "greedy").predict(images)
    assert lines("--greedy") == [answer.sentences[0] for answer in greedy]
    sampled = lines("--sample", "--temperature", "9", "--seed", "1")
    assert sampled == lines("--sample", "--temperature", "9", "--seed", "1")
    assert sampled != lines("--sample", "--temperature", "9", "--seed", "2")
    assert lines("--sample", "--top-k", "1") == lines("--greedy")


def test_evaluate_scores_the_export_on_the_data_of_its_run(
    run_dir: Path, expected: dict[str, Any], tmp_path: Path, capsys: Printed
) -> None:
    from pipelines.evaluation.metrics.captions import evaluate_captions
    from pipelines.evaluation.metrics.coco_results import read_results

    out = tmp_path / "captions.json"
    assert command("evaluate", run_dir, "--split", "test", "--out", out) == 0
    names = [f"{number}.jpg" for number in (9, 10, 11)]
    captions = {name: expected[name].sentences[0] for name in names}
    assert read_results(out) == captions
    references = {
        name: [f"a red dog runs {name[:-4]}", f"the dog number {name[:-4]} sleeps"]
        for name in names
    }
    printed = capsys.readouterr().out
    scores = re.sub(r" \[[^]]*\]", "", printed)  # without their confidence intervals
    assert scores != printed
    assert f"folder test: {evaluate_captions(captions, references)}" in scores
    assert re.search(r"^tok:.*\|refs:2\|items:3\|search:beam2\.lp1\.min2\|", printed, re.MULTILINE)
    assert f"captions in {out}\n" in printed
    assert "fully correct" not in printed


def test_evaluate_scores_slices_and_names_its_file_after_them(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.chdir(tmp_path)
    for split, name, count in ("train[:2]", "train-to-2", 2), ("train[2:]", "train-2-to", 4):
        assert command("evaluate", run_dir, "--split", split) == 0
        assert len(json.loads((tmp_path / f"predictions-{name}.json").read_text())) == count
        assert f"items:{count}" in capsys.readouterr().out


def test_evaluate_scores_captions_of_a_file(source: Path, tmp_path: Path, capsys: Printed) -> None:
    results = tmp_path / "results.json"
    texts = {f"{number}.jpg": f"a red dog runs {number}" for number in (6, 7, 8)}
    results.write_text(
        json.dumps([{"image_id": name, "caption": text} for name, text in texts.items()])
    )
    words: list[str | Path] = [
        "evaluate",
        "--results",
        results,
        "--data",
        "folder",
        "--source",
        source,
    ]
    assert command(*words) == 0
    assert "BLEU-4 100.0" in capsys.readouterr().out
    with pytest.raises(UserError, match="must have the same ids"):
        command(*words, "--split", "test")


def test_evaluate_accepts_more_bad_images_with_max_bad(source: Path, tmp_path: Path) -> None:
    table = (source / "captions.csv").read_text() + "gone.jpg,a cat,test\n"
    files: dict[str, Any] = {"captions.csv": table, "results.json": "[]"}
    files |= {f"images/{number}.jpg": jpeg(number) for number in range(12)}
    fill(tmp_path, files)
    words = ["evaluate", "--results", str(tmp_path / "results.json"), "--data", "folder"]
    words += ["--source", str(tmp_path)]
    with pytest.raises(UserError, match=r"--max-bad 0\.077"):
        command(*words, "--max-bad", "0")
    with pytest.raises(UserError, match="must have the same ids"):
        command(*words)  # one in ten is allowed


def test_evaluate_counts_fully_correct_captions_of_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    from data.builtin import scenes

    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path))
    for split in scenes.SPLITS:
        monkeypatch.setitem(scenes.SPLITS, split, 4)
    texts = {
        name: scenes.generate_captions(scene)[0]
        for name, scene in scenes.synthetic_scenes("unseen")
    }
    texts[next(iter(texts))] = "not a caption of a scene"
    results = tmp_path / "results.json"
    results.write_text(
        json.dumps([{"image_id": name, "caption": text} for name, text in texts.items()])
    )
    words: list[str | Path] = [
        "evaluate",
        "--results",
        results,
        "--data",
        "synthetic-scenes",
        "--split",
        "unseen",
    ]
    assert command(*words) == 0
    assert "fully correct captions: 3 of 4 (75.0 %)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, part",
    [
        ("captoin", "unknown command 'captoin': did you mean 'caption'"),
        ("", "required: COMMAND"),
        ("caption", "required: EXPORT"),
        ("caption nowhere a.jpg", "there is no export at nowhere"),
        ("caption nowhere a.jpg --n-bst 2", "did you mean --n-best?"),
        ("caption nowhere a.jpg --n-best x", "--n-best takes a whole number"),
        ("caption nowhere a.jpg --seed 1", "--seed requires --sample"),
        ("caption nowhere a.jpg --sample --top-p 0", "--top-p must be above 0 and at most 1"),
        ("caption nowhere a.jpg --sample --temperature 1e-300", "must be 0.001 to 1000"),
        ("caption nowhere a.jpg --sample --top-k 3000000000", "must be 0 (no limit) to 2147483647"),
        ("caption nowhere a.jpg --sample --seed 99999999999999999999", "must be 0 to 2147483647"),
        ("caption nowhere a.jpg --sample --greedy", "not allowed with"),
        ("caption nowhere a.jpg --out a.doc", "--out writes .txt, .csv, .jsonl, not a.doc"),
        ("caption nowhere a.jpg --json --csv", "not allowed with"),
        ("check-splits folder", "the command check-splits is now called check"),
        ("evaluate nowhere --vectors a", "--vectors is now called --word-vectors"),
        ("evaluate", "takes either"),
        ("evaluate nowhere --results a.json", "takes either"),
        ("evaluate nowhere", "there is no export at nowhere"),
        ("evaluate nowhere --data flickr9k", "unknown dataset 'flickr9k'"),
        ("evaluate nowhere --data tfds:mnist", "there is no export at nowhere"),
        ("evaluate --results a.json", "--results requires --data"),
        ("evaluate --results a.json --data synthetic-scenes", "no such file: a.json"),
        ("evaluate --results {file} --data flickr8k", "flickr8k needs --source"),
        ("evaluate --results {file} --data synthetic-scenes --out b.json", "--out goes with"),
    ],
)
def test_errors_are_one_line(words: str, part: str, tmp_path: Path) -> None:
    fill(tmp_path, {"file": "[]"})
    with pytest.raises(UserError) as caught:
        command(*words.format(file=tmp_path / "file").split())
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_captions_than_the_export_has_are_refused(run_dir: Path, source: Path) -> None:
    image = source / "images" / "0.jpg"
    for words in (["--n-best", "3"], ["--n-best", "0"], ["--greedy", "--n-best", "2"]):
        with pytest.raises(UserError, match="--n-best must be from 1 to"):
            command("caption", run_dir, image, *words)


@pytest.mark.parametrize("words", [["caption", "nowhere", "a.jpg"], ["evaluate"], ["capton"]])
def test_errors_need_no_tensorflow(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipelines.cli.main", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(r"^wordreel: error: ", done.stderr, re.MULTILINE)
    assert not re.search(r"\| +(tensorflow|keras|numpy|PIL|matplotlib)\b", done.stderr)


def test_help_names_every_command(capsys: Printed) -> None:
    for words in (["--help"], ["caption", "--help"], ["evaluate", "--help"]):
        with pytest.raises(SystemExit) as ended:
            command(*words)
        assert ended.value.code == 0
        out = capsys.readouterr().out
        assert all(module.SUMMARY in " ".join(out.split()) for name, module in COMMANDS.items()
                   if words[0] in ("--help", name))  # fmt: skip


def test_command_is_the_console_script() -> None:
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert re.search(r"^    wordreel = pipelines\.cli\.main:main$", text, re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from pipelines.cli.main import main; sys.exit(main())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "80"},
    )
    assert done.returncode == 2 and done.stderr.startswith("wordreel: error: ")
