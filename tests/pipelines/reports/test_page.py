from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.config.config import Config
from pipelines.evaluation.captions import Evaluation, Prediction
from pipelines.evaluation.metrics.captions import evaluate_captions, signature
from pipelines.reports.captions import caption_report
from pipelines.reports.page import write_report
from pipelines.reports.thumbnails import Preview, strip

VOID = {"meta", "img", "link", "br", "hr", "input"}
NASTY = '<script>alert("1")</script> & "quoted"'


class Page(HTMLParser):
    """Checks that tags are balanced, and collects them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text_preview: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text_preview.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.text_preview).split())


def image(split: str, name: str) -> bytes:
    number = int(name)
    buffer = io.BytesIO()
    size = (900, 600) if number % 2 else (64, 64)
    Image.new("RGB", size, (number % 256, 90, 160)).save(buffer, "PNG")
    return buffer.getvalue()


def preview(split: str, name: str) -> Preview:
    return Preview(image=image(split, name), grid=(2, 3))


def text_preview(split: str, name: str) -> Preview:
    return Preview(text=f"{NASTY} {split} {name}")


def evaluation(
    captions: dict[str, str], truth: dict[str, bool] | None = None, cells: int = 6
) -> Evaluation:
    references = {name: [f"a red dog {name}", f"the dog {name} is red"] for name in captions}
    predictions = {
        name: Prediction(
            [text, "second best"],
            [-0.5, -0.75],
            text.split(),
            np.eye(len(text.split()), cells, dtype=np.float32) if cells else np.zeros((3, 0)),
        )
        for name, text in captions.items()
    }
    scores = evaluate_captions(captions, references)
    line = signature(references, "beam5.lp1")
    return Evaluation("test", scores, line, predictions, references, truth)


HISTORY = [
    {"epoch": 1, "loss": 4.0, "val_loss": 4.5, "CIDEr-D": 40.0, "BLEU-4": 15.0, "distinct": 50.0},
    {"epoch": 2, "loss": 3.0, "val_loss": 4.0, "CIDEr-D": 55.0, "BLEU-4": 21.0, "distinct": 60.0},
    {"epoch": 3, "loss": 2.5, "val_loss": 3.8, "CIDEr-D": 50.0, "BLEU-4": 20.0, "distinct": 60.0},
]


def report(folder: Path, **changed: Any) -> tuple[str, Page]:
    some: dict[str, Any] = {
        "config": Config(),
        "history": HISTORY,
        "evaluations": [evaluation({str(i): f"a red dog {i}" for i in range(30)})],
        "preview_of": preview,
        "curves": ("CIDEr-D", "BLEU-4", "fully_correct"),
        "monitor": "CIDEr-D",
        "notes": [],
        "command": "python train.py --epochs 3",
        "export": Path("runs/a/export/1"),
    }
    path = folder / "report.html"
    some |= changed
    preview_of, evaluations = some.pop("preview_of"), some.pop("evaluations")
    write_report(path, splits=[caption_report(each, preview_of) for each in evaluations], **some)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    return report(tmp_path_factory.mktemp("report"), notes=["three images are cut short"])


def test_the_command_and_the_scores_are_reported(usual: tuple[str, Page]) -> None:
    _, page = usual
    scores = evaluation({str(i): f"a red dog {i}" for i in range(30)})
    for part in (
        "Image captioning on synthetic-scenes",
        "python train.py --epochs 3",
        "wordreel caption runs/a/export/1 image.jpg",
        "three images are cut short",
        scores.signature,
        f"CIDEr-D {scores.scores.corpus['CIDEr-D']:.1f}",
        f"ROUGE-L {scores.scores.corpus['ROUGE-L']:.1f}",
        "--learning-rate 0.001",
        "--source –",
        "--flips false",
        "second best -0.75",
        "the dog 0 is red",
    ):
        assert part in page.text, part


def test_the_page_is_self_contained(usual: tuple[str, Page]) -> None:
    text, page = usual
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/", "#")), attributes
    assert all(url.startswith(("data:", "#")) for url in re.findall(r"url\(['\"]?([^)]*)", text))
    assert not re.search(r"@import|https?://(?!www\.w3\.org/)", text)


def test_the_page_is_accessible(usual: tuple[str, Page]) -> None:
    text, page = usual
    assert text.startswith("<!DOCTYPE html>") and page.all("html") == [{"lang": "en"}]
    assert any("width=device-width" in meta.get("content", "") for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in text
    assert all(image.get("alt") for image in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in ids
    for _, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids


def test_curves_plot_recorded_scores_and_mark_the_best_epoch(
    usual: tuple[str, Page],
) -> None:
    _, page = usual
    labels = [each["aria-label"] for each in page.all("div") if each.get("role") == "img"]
    assert labels == [
        "Training loss: 4 after epoch 1, 2.5 after epoch 3, 3 at the best, epoch 2",
        "Validation loss: 4.5 after epoch 1, 3.8 after epoch 3, 4 at the best, epoch 2",
        "CIDEr-D on validation: 40 after epoch 1, 50 after epoch 3, 55 at the best, epoch 2",
        "BLEU-4 on validation: 15 after epoch 1, 20 after epoch 3, 21 at the best, epoch 2",
    ]
    assert len(page.all("svg")) == 4


def test_rounding_errors_are_not_plotted_as_a_slope(tmp_path: Path) -> None:
    flat = [{"epoch": epoch, "loss": 1.0, "BLEU-4": 1e-14 / epoch} for epoch in (1, 2)]
    text, page = report(tmp_path, history=flat)
    assert len(page.all("svg")) == 2
    assert "1e" not in " ".join(re.findall(r"<text[^>]*>([^<]*)<", text))


def test_thumbnails_are_small_and_keep_their_aspect_ratio(usual: tuple[str, Page]) -> None:
    _, page = usual
    sizes = set()
    for image in page.all("img"):
        encoded = base64.b64decode(image["src"].partition(",")[2])
        preview = Image.open(io.BytesIO(encoded))
        preview.load()
        if "width" in image:
            assert preview.size == (int(image["width"]), int(image["height"]))
            sizes.add(preview.size)
    assert sizes == {(320, 213), (192, 192)}


def test_overlays_are_transparent_at_high_weights(tmp_path: Path) -> None:
    # Word t has its whole weight on cell t, of 2 x 3.
    _, page = report(tmp_path)
    veils = [image for image in page.all("img") if image["alt"].startswith("Attention for")]
    assert [image["alt"] for image in veils[:2]] == ["Attention for “a”", "Attention for “red”"]
    assert len(veils) == 3 * 4  # images × words
    for cell, image in enumerate(veils[:4]):
        encoded = base64.b64decode(image["src"].partition(",")[2])
        alpha = np.asarray(Image.open(io.BytesIO(encoded)).getchannel("A"))
        rows, columns = alpha.shape
        centers = alpha[rows // 4 :: rows // 2, columns // 6 :: columns // 3]
        assert centers.shape == (2, 3)
        assert centers.argmin() == cell


def test_bars_have_the_height_of_the_frame_weights(tmp_path: Path) -> None:
    frames = strip([image("test", str(number)) for number in range(6)])
    text, page = report(tmp_path, preview_of=lambda *_: Preview(image=frames, grid=(1, 6)))
    assert "Attention over the frames" in text and "Attention over the image" not in text
    heights = re.findall(r'<i style="height: (\d+)%">', text)
    assert len(heights) == 3 * 4 * 6  # clips × words × frames
    # Word t has its whole weight on frame t.
    assert heights[: 4 * 6] == [str(100 * (t == n)) for t in range(4) for n in range(6)]
    assert {
        int(image["width"]) > 3 * int(image["height"])
        for image in page.all("img")
        if "width" in image
    } == {True}


def test_a_strip_has_evenly_spaced_frames() -> None:
    tones = [Image.new("RGB", (40, 30), (number, 0, 0)) for number in range(0, 240, 10)]
    encoded = []
    for tone in tones:
        buffer = io.BytesIO()
        tone.save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    whole = Image.open(io.BytesIO(strip(encoded)))
    assert whole.size == (12 * 40, 30)
    middles = [whole.getpixel((40 * number + 20, 15)) for number in range(12)]
    reds = [pixel[0] for pixel in middles if isinstance(pixel, tuple)]
    assert np.allclose(reds, np.arange(10, 240, 20), atol=4)


def test_a_model_without_attention_has_no_attention_section(tmp_path: Path) -> None:
    blind = evaluation({"1": "a red dog", "2": "a blue cat"}, cells=0)
    for changed in ({"evaluations": [blind]}, {"preview_of": text_preview}):
        text, _ = report(tmp_path, **changed)
        assert "Attention over the image" not in text


def headed(text: str, title: str) -> str:
    """Return the part of the page under a title, without its tags."""
    part = text.partition(f"<h3>{title}</h3>")[2].partition("<h3>")[0].partition("</section>")[0]
    return Page(part).text


def test_best_and_worst_are_ordered_by_cider_d_and_disjoint(tmp_path: Path) -> None:
    good = {str(i): f"a red dog {i}" for i in range(20)}
    text, _ = report(tmp_path, evaluations=[evaluation(good | {"7": "no idea"})])
    assert headed(text, "Worst").startswith("By per-example CIDEr-D. no idea ")
    assert "no idea" not in headed(text, "Best")
    text, _ = report(tmp_path, evaluations=[evaluation({"1": "a red dog 1", "2": "no idea"})])
    assert "a red dog" in headed(text, "Best")
    assert "no idea" in headed(text, "Worst")
    text, _ = report(tmp_path, evaluations=[evaluation({"1": "a red dog"})])
    assert "<h3>Best</h3>" not in text
    assert "a red dog" in headed(text, "Worst")


def test_incorrect_captions_come_first_among_the_worst(tmp_path: Path) -> None:
    captions = {str(i): f"a red dog {i}" for i in range(20)} | {"7": "no idea"}
    truth = {name: name not in ("3", "4") for name in captions}
    text, page = report(tmp_path, evaluations=[evaluation(captions, truth)])
    assert "fully correct 90.0" in page.text
    assert "18 of 20 captions are fully correct" in page.text
    worst = re.findall(r"a red dog \d+|no idea", headed(text, "Worst"))
    found = [caption for caption in worst if caption in captions.values()]
    assert {*dict.fromkeys(found)} >= {"a red dog 3", "a red dog 4", "no idea"}
    assert found.index("no idea") > max(found.index("a red dog 3"), found.index("a red dog 4"))
    assert headed(text, "Worst").count("✗ incorrect") == 2


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    captions = {"1": f"a {NASTY}", "2": "كلب أحمر 🐕"}
    text, page = report(
        tmp_path,
        evaluations=[evaluation(captions)],
        notes=[NASTY],
        command=NASTY,
        preview_of=text_preview,
    )
    assert "<script" not in text
    assert page.text.count(NASTY) >= 3
    assert "كلب أحمر 🐕" in page.text
    assert all(
        each.get("dir") == "auto" for each in page.all("p") if each.get("class") == "caption"
    )


def test_a_report_without_evaluations_can_be_written(tmp_path: Path) -> None:
    _, page = report(tmp_path, history=[], evaluations=[], export=None)
    assert "python train.py --epochs 3" in page.text
    assert "Scores" not in page.text and "Training" not in page.text


def test_a_report_is_reproducible_and_below_5_mb(tmp_path: Path) -> None:
    many = evaluation({str(i): f"a red dog {i}" for i in range(300)})
    first, _ = report(tmp_path, evaluations=[many, many])
    second, _ = report(tmp_path, evaluations=[many, many])
    assert first == second
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")  # noise compresses worst
    heavy = Preview(image=buffer.getvalue())
    text, _ = report(tmp_path, evaluations=[many, many], preview_of=lambda *_: heavy)
    assert len(text) < 5e6
