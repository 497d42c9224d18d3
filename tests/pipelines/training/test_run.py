"""A whole run on a folder of images, from data to export and report."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import pytest
import tensorflow as tf

from data.common.errors import UserError
from models.backbones.factory import build_backbone
from pipelines.cli.train import parse
from pipelines.config.config import Config
from pipelines.config.run_directory import INIT_WEIGHTS, open_run
from pipelines.config.stored_runs import Score, read_run
from pipelines.evaluation.metrics.captions import evaluate_captions
from pipelines.export.version import SCRATCH
from pipelines.task_models import ImageCaptioner, load_run
from pipelines.tasks.assembly import build, check_splits, init_weights, load_experiment, prepare
from pipelines.tasks.caption_head import CaptionHead
from pipelines.tasks.protocols import PreparedDataset
from pipelines.training import run as training_run
from pipelines.training.run import run
from tests.support.paths import ROOT
from tests.support.source_files import fill, jpeg

pytestmark = pytest.mark.filterwarnings(r"ignore:label\(\) is deprecated:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORDREEL_DATA_DIR", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the command line of a small run, on twelve images with two captions each."""
    names = ["black", "white", "grey", "pale"]
    rows = ["image,caption,split"]
    for number in range(12):
        split = ("train", "validation", "test")[number // 4]
        rows += [f"{number}.jpg,a {names[number % 4]} picture,{split}"]
        rows += [f"{number}.jpg,it is {names[number % 4]},{split}"]
    files: dict[str, str | bytes] = {f"images/{n}.jpg": jpeg(n) for n in range(12)}
    files["captions.csv"] = "\n".join(rows) + "\n"
    source = fill(tmp_path_factory.mktemp("source"), files)
    options = "--backbone small-cnn --image-size 32 --no-flips --units 16 --max-words 5 --beams 2"
    rest = "--n-best 2 --min-count 1 --epochs 2 --fine-tune-from 2 --scst-epochs 1 --batch-size 4"
    return ["--data", "folder", "--source", str(source), *options.split(), *rest.split()]


@pytest.fixture(scope="module")
def config(words: list[str]) -> Config:
    return parse(words)[0]


@pytest.fixture(scope="module")
def folder(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the command leaves; in a process of its own, for a run sets TensorFlow's mode."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    command = [sys.executable, "train.py", *words, "--run-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def test_a_run_directory_holds_everything(folder: Path, config: Config) -> None:
    assert Config.from_json((folder / "config.json").read_text()) == config
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [record["epoch"] for record in metrics["history"]] == [1, 2, 3]
    assert ["loss" in record for record in metrics["history"]] == [True, True, False]
    assert all(record["val_loss"] > 0 for record in metrics["history"])
    assert "refs:2|items:4|search:beam2.lp" in metrics["splits"]["test"]["signature"]
    assert len(json.loads((folder / "predictions-test.json").read_text())) == 4
    report = (folder / "report.html").read_text(encoding="utf-8")
    for text in ("CIDEr-D", "Duration 0:0", "Hardware ", "TensorFlow 2."):
        assert text in report
    stored = read_run(folder)
    assert stored.state == "complete, 3 epochs"
    assert stored.best == Score("test", "CIDEr-D", *_score(metrics, "CIDEr-D"))
    parts = (folder, folder / "self-critical")
    records = [json.loads((part / "history.json").read_text())["epochs"] for part in parts]
    assert [len(each) for each in records] == [2, 1]
    assert records[0] == metrics["history"][:2]
    for part in parts:  # the newest checkpoint is enough to continue
        assert len(list((part / "checkpoints").glob("*.index"))) == 1, part
    assert (folder / "vocabulary.txt").read_text().startswith("<pad>\n")
    assert list((folder / "tensorboard").glob("events*"))


def _score(metrics: dict[str, Any], name: str) -> tuple[float, list[float]]:
    found = metrics["splits"]["test"]
    return found[name], found["intervals"][name]


def test_the_start_is_summarized_and_a_dry_run_writes_nothing(
    words: list[str], config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = open_run(config, tmp_path / "new", dry_run=True)
    run(config, folder, dry_run=True)
    assert not folder.exists()
    lines = capsys.readouterr().out.splitlines()
    names = ["run", "device", "model", "data", "vocabulary", "steps"]
    assert [line.split()[0] for line in lines] == names
    about = dict(line.split(None, 1) for line in lines)
    assert about["data"] == "train 4, validation 4, test 4; scored: test"
    assert about["vocabulary"] == "output: 12 words, <unk> 0.0% of train, 0.0% of validation"
    assert about["steps"] == "at most 2 epochs of 2 with 4 examples each, 4 in all, then 1 of SCST"
    experiment = build(config, prepare(config), tmp_path)
    count = sum(each.count_params() for each in (experiment.model.encoder, experiment.model.head))
    backbone = experiment.model.backbone.count_params()  # type: ignore[union-attr]
    assert f"of {count + backbone:,} are trained" in about["model"]
    # Nor does it change a directory where a run with other options has not started.
    open_run(dataclasses.replace(config, units=8), tmp_path / "other")
    (tmp_path / "other" / "vocabulary.txt").write_text("of other options")
    before = {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()}
    run(config, open_run(config, tmp_path / "other", dry_run=True), dry_run=True)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()}


def test_the_model_of_a_run_needs_no_dataset(
    folder: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORDREEL_DATA_DIR", str(tmp_path))  # where nothing is prepared
    predictions = json.loads((folder / "predictions-test.json").read_text())
    images = Path(words[words.index("--source") + 1], "images")
    model = load_run(folder)
    assert isinstance(model, ImageCaptioner)
    files = [(images / each["image_id"]).read_bytes() for each in predictions]
    assert model.generate(files) == [each["caption"] for each in predictions]


def test_unfinished_and_newer_runs_are_reported(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run directory"):
        load_run(tmp_path)
    shutil.copy(folder / "config.json", tmp_path)
    with pytest.raises(UserError, match=r"has no model\.json"):
        load_run(tmp_path)
    shutil.copy(folder / "model.json", tmp_path)
    with pytest.raises(UserError, match="has no weights yet"):
        load_run(tmp_path)
    text = (folder / "model.json").read_text().replace("ImageEncoder", "NewerEncoder")
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UserError, match=r"model\.json cannot be read: .*newer version"):
        load_run(tmp_path)


def test_the_export_repeats_the_predictions(folder: Path, config: Config) -> None:
    answer = tf.saved_model.load(str(folder / "export" / "1")).signatures["serving_default"]
    predictions = json.loads((folder / "predictions-test.json").read_text())
    said = {str(entry["image_id"]): entry["caption"] for entry in predictions}
    for number in range(8, 12):
        stored = jpeg(number)
        caption = answer(image_bytes=tf.constant([stored]))["caption"].numpy()[0].decode()
        (name,) = [name for name in said if name.split(".")[0] == str(number)]
        assert caption == said[name]


def test_a_complete_run_only_prints_its_result(
    folder: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, open_run(config, folder))
    printed = capsys.readouterr().out
    assert "This run is complete" in printed
    assert "BLEU-4" in printed
    assert not (folder / "export" / "2").exists()


def test_a_complete_run_reports_that_its_data_have_changed(
    folder: Path,
    config: Config,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def changed(config: Config) -> PreparedDataset:
        return dataclasses.replace(prepare(config), fingerprint="other")  # type: ignore[type-var]

    run(config, open_run(config, folder))
    assert "note:" not in capsys.readouterr().out
    monkeypatch.setattr(training_run, "prepare", changed)
    run(config, open_run(config, folder))
    printed = capsys.readouterr().out
    assert "This run is complete" in printed
    assert "note: the scores above are not of the present data" in printed
    assert "the dataset changed since" in printed


def test_a_run_that_was_killed_after_publishing_publishes_nothing_new(
    folder: Path, words: list[str], tmp_path: Path
) -> None:
    metrics = (folder / "metrics.json").read_text()
    left_out = shutil.ignore_patterns("metrics.json", ".lock")  # this process holds the lock
    folder = shutil.copytree(folder, tmp_path / "killed", ignore=left_out)
    (folder / "export" / f"{SCRATCH}x").mkdir()
    command = [sys.executable, "train.py", *words, "--run-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    assert not (folder / "export" / f"{SCRATCH}x").exists()
    assert [path.name for path in (folder / "export").iterdir() if path.name.isdigit()] == ["1"]
    assert (folder / "metrics.json").read_text() == metrics
    scores = json.loads(metrics)["splits"]["test"]
    assert scores["examples"] == 4 and len(scores["intervals"]["BLEU-4"]) == 2
    assert "test has only 4 examples" in scores["warnings"][0]
    card = (folder / "export" / "README.md").read_text(encoding="utf-8")
    for text in ((folder / "report.html").read_text(encoding="utf-8"), card):
        assert "its scores mean little" in text and "95 % confidence intervals" in text


def test_a_run_starts_from_the_best_weights_of_another(
    folder: Path, config: Config, tmp_path: Path
) -> None:
    other = dataclasses.replace(config, init_from=str(folder), seed=config.seed + 1)
    experiment = build(other, prepare(other), tmp_path)
    assert INIT_WEIGHTS in json.loads((tmp_path / "data.json").read_text())
    init_weights(experiment)
    evaluation: Any = experiment.evaluate("test")
    found = evaluation.best
    predictions = json.loads((folder / "predictions-test.json").read_text())
    assert {str(entry["image_id"]): entry["caption"] for entry in predictions} == found


def test_other_options_do_not_mix_into_a_run(folder: Path, config: Config) -> None:
    other = dataclasses.replace(config, units=32)
    with pytest.raises(UserError, match=r"--units was 16, now 32.*another --run-dir"):
        open_run(other, folder)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, config: Config) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to the run directory .*file"):
        open_run(config, tmp_path / "file" / "run")


@pytest.mark.parametrize(
    "splits, message",
    [
        ({"train_split": "training"}, "--train-split 'training': the dataset has train, val"),
        ({"validation_split": "dev"}, r"or a part such as 'train\[90%:\]'"),
        ({"train_split": "train+test"}, r"--train-split 'train\+test': splits cannot be added"),
        ({"test_splits": "tset,unseen"}, "unknown split 'tset': did you mean 'test'"),
        ({"test_splits": "none"}, "unknown split 'none'"),
    ],
)
def test_a_split_that_cannot_be_used_is_named(
    splits: Any, message: str, tmp_path: Path, config: Config
) -> None:
    config = dataclasses.replace(config, **splits)
    with pytest.raises(UserError, match=message):
        build(config, prepare(config), tmp_path)


def test_a_known_split_that_the_dataset_lacks_is_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    splits = {"train": 4, "validation": 4, "test": 4}
    tests = check_splits("train", "validation", "test,unseen", splits)
    assert tests == ["test"]
    assert "no split 'unseen' to score" in capsys.readouterr().out


def test_a_changed_vocabulary_is_refused(tmp_path: Path, config: Config) -> None:
    build(config, prepare(config), tmp_path)
    build(config, prepare(config), tmp_path)
    words = tmp_path / "vocabulary.txt"
    words.write_text(words.read_text() + "another\n")
    with pytest.raises(UserError, match=r"other training data: vocabulary\.txt changed"):
        build(config, prepare(config), tmp_path)


def save_backbone(path: Path, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 8, 8)]
    keras.Sequential(layers).save(path)


def test_other_weights_of_the_backbone_are_refused(tmp_path: Path, config: Config) -> None:
    """Also where only a checkpoint would hide them: when a frozen run resumes or is opened."""
    path, folder = tmp_path / "cur.keras", tmp_path / "run"
    save_backbone(path, 1)
    frozen = dataclasses.replace(config, backbone=str(path), fine_tune_from=None)
    folder.mkdir()
    (folder / "config.json").write_text(frozen.to_json())
    experiment = build(frozen, prepare(frozen), folder)
    save_backbone(path, 1)  # written again, the same weights
    tf.train.Checkpoint(model=experiment.model).save(str(folder / "best" / "ckpt"))
    load_experiment(folder)
    save_backbone(path, 2)
    refused = r"the weights of the backbone \(.*cur\.keras.*changed"
    with pytest.raises(UserError, match=refused):
        build(frozen, prepare(frozen), folder)
    with pytest.raises(UserError, match=refused):
        load_experiment(folder)
    weights = dataclasses.replace(config, weights=str(tmp_path / "a.weights.h5"))
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        build_backbone("small-cnn", image_size=32).save_weights(tmp_path / "a.weights.h5")
        if seed == 1:
            build(weights, prepare(weights), tmp_path / "other")
    with pytest.raises(UserError, match=r"weights of the backbone \(small-cnn, .*a\.weights\.h5"):
        build(weights, prepare(weights), tmp_path / "other")


def test_random_weights_are_not_pinned(tmp_path: Path, config: Config) -> None:
    build(config, prepare(config), tmp_path)
    assert set(json.loads((tmp_path / "data.json").read_text())) == {
        "the dataset",
        "vocabulary.txt",
    }


@pytest.mark.parametrize("count, monitor", [(1, "ROUGE-L"), (2, "CIDEr-D")])
def test_one_validation_image_is_not_scored_by_cider(
    count: int, monitor: str, tmp_path: Path, config: Config
) -> None:
    class Few:
        name, fingerprint, problems = "few", "f", Path()
        splits: Mapping[str, int] = MappingProxyType({})
        is_true = None

        def captions(self, split: str) -> list[tuple[str, list[str]]]:
            examples = [("a.jpg", ["a dog runs"]), ("b.jpg", ["a cat sleeps"])]
            return examples[:count] if split == "validation" else examples

    assert CaptionHead(config, Few(), tmp_path).monitor == monitor
    references = dict(Few().captions("validation"))
    said = {name: texts[0] for name, texts in references.items()}
    assert evaluate_captions(said, references).corpus[monitor] > 50
