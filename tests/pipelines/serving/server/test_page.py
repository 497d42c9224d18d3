"""The page in a browser: images, clips and texts are submitted, predictions are displayed."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.media.words import SPACING
from tests.support.page_in_browser import (
    LIT,
    OVERLAY,
    attention_map,
    bars,
    browser,
    caption,
    drop,
    needs_chromium,
    page,
    server,
    stub_caption,
)
from tests.support.paths import SHARED_DATA
from tests.support.server_process import Server
from tests.support.tiny.captioner import encode, smooth_image
from tests.support.video_files import write_clip

__all__ = ["browser", "page", "server"]  # fixtures
pytestmark = needs_chromium
PASTE = """(data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));
}"""


def test_a_dropped_image_gets_its_caption(page: Any, server: Server, tmp_path: Path) -> None:
    photo = next((SHARED_DATA / "flickr8k").rglob("*.jpg"), None)  # a real photo if available
    data = photo.read_bytes() if photo else encode(smooth_image(0, 300, 200))
    width = Image.open(io.BytesIO(data)).width
    drop(page, "a.jpg", "image/jpeg", data)
    body = {"inputs": [{"b64": base64.b64encode(data).decode()}]}
    outputs = server.ask("/v1/models/captioner:predict", body)[2]["outputs"]
    assert caption(page) == outputs["caption"][0]
    assert page.text_content("#state") == f"Answer: {outputs['caption'][0]}"
    others = page.locator("#others button")
    assert others.count() == len(outputs["captions"][0])
    assert page.evaluate("document.querySelector('#image').naturalWidth") == width
    words = page.locator("#sentence button")
    assert words.count() == len([token for token in outputs["tokens"][0][0] if token > 2])
    page.screenshot(path=tmp_path / "page.png")
    others.nth(1).click()
    assert caption(page) == outputs["captions"][0][1]


def test_a_word_highlights_the_cells_that_the_model_attended_to(page: Any, server: Server) -> None:
    text = stub_caption(page, server, "captioner", 16)
    drop(page, "a.jpg", "image/jpeg", encode(smooth_image(0, 300, 200)))
    assert caption(page) == text
    overlays = [page.evaluate(OVERLAY)]
    for place in range(len(text.split())):
        page.locator("#sentence button").nth(place).hover()
        overlays.append(page.evaluate(OVERLAY))
        # The centers of the 4 × 4 cells: the attended cell is the brightest and least covered.
        shades = page.evaluate(
            """() => { const found = [], c = document.querySelector("#overlay");
            const g = c.getContext("2d");
            for (let r = 0; r < 4; r++) for (let k = 0; k < 4; k++) found.push([...g.getImageData(
              (k + 0.5) * c.width / 4, (r + 0.5) * c.height / 4, 1, 1).data]); return found; }"""
        )
        red, alpha = (np.array(shades)[:, channel] for channel in (0, 3))
        peak = np.arange(16) == np.argmax(attention_map(place, 16))
        assert red[peak] > 100 and (red[~peak] < 50).all()
        assert alpha[peak] < 130 and (alpha[~peak] > 160).all()
    assert len(set(overlays)) == len(overlays)


def test_the_page_works_by_keyboard(page: Any, server: Server, tmp_path: Path) -> None:
    """Tab moves from the top of the page to the file and to each word, arrow keys move back."""
    text = stub_caption(page, server, "captioner", 16)
    (tmp_path / "a.png").write_bytes(encode(smooth_image(0), "PNG"))
    reach(page, "#file")
    page.set_input_files("#file", tmp_path / "a.png")  # the dialog is not tested
    assert caption(page) == text
    count = len(text.split())
    overlays = [page.evaluate(OVERLAY)]
    reach(page, "#sentence button")
    for place in range(count):
        assert page.evaluate("document.activeElement.dataset.place") == str(place)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        overlays.append(page.evaluate(OVERLAY))
        page.keyboard.press("Tab")
    assert len(set(overlays)) == 1 + count
    assert not page.evaluate(LIT)  # away from the words
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(OVERLAY) == overlays[-2]
    page.keyboard.press("Escape")
    assert not page.evaluate(LIT)
    names = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, textarea")]
        .filter((each) => each.checkVisibility())
        .filter((each) => !(each.textContent || each.ariaLabel || (each.labels || []).length))"""
    )
    assert names == []


def reach(page: Any, selector: str) -> None:
    """Press Tab until an element that matches has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"Tab never comes to {selector}")


def test_a_dropped_clip_shows_its_frames_and_caption(
    page: Any, server: Server, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "a.avi", range(12)).read_bytes()
    page.select_option("#model", "clips")
    drop(page, "a.avi", "video/x-msvideo", b"RIFF")
    page.wait_for_selector("#problem:has-text('not a clip')")
    drop(page, "a.avi", "video/x-msvideo", clip)
    frames = server.ask("/wordreel/models/clips/frames", clip)[2]["frames"]
    body = {"inputs": [[{"b64": frame} for frame in frames]]}
    outputs = server.ask("/v1/models/clips:predict", body)[2]["outputs"]
    assert caption(page) == outputs["caption"][0]
    assert page.locator("#strip img").count() == len(frames) == 6
    assert page.evaluate("document.querySelector('#strip img').naturalWidth") == 64


def test_bars_under_the_frames_show_the_attention_of_a_word(
    page: Any, server: Server, tmp_path: Path
) -> None:
    text = stub_caption(page, server, "clips", 4)
    page.select_option("#model", "clips")
    drop(page, "a.avi", "video/x-msvideo", write_clip(tmp_path / "a.avi", range(12)).read_bytes())
    assert caption(page) == text
    assert bars(page) == [0] * 6
    for place in range(len(text.split())):
        page.locator("#sentence button").nth(place).hover()
        heights = np.array(bars(page))
        attention = np.array(attention_map(place, 4))  # the model sees 4 of the 6 frames
        assert heights.max() > 10 and heights[1] == heights[4] == 0
        np.testing.assert_allclose(
            heights[[0, 2, 3, 5]], heights.max() * attention / attention.max(), atol=1.0
        )
    page.hover("h1")
    assert bars(page) == [0] * 6


def test_a_translation_shows_the_attention_to_source_words(page: Any, server: Server) -> None:
    page.select_option("#model", "pairs")
    text = "Two dogs, a cat."
    page.fill("#text", text)
    page.keyboard.press("Control+Enter")
    outputs = server.ask("/v1/models/pairs:predict", {"inputs": [text]})[2]["outputs"]
    assert caption(page) == outputs["translation"][0]
    tokens = page.locator("#source span").all_inner_texts()
    assert tokens[1:-1] == ["two", "dogs", ",", "a", "cat", "."]  # as the model tokenizes it
    page.focus("#sentence button")
    shares = page.evaluate(
        "[...document.querySelectorAll('#source span')].map((each) => Number("
        "each.style.getPropertyValue('--share')))"
    )
    words = server.ask("/wordreel/models/pairs/words")[2]
    shown = [words[token] not in SPACING for token in outputs["tokens"][0][0]]
    attention = np.array(outputs["attention"][0][0][shown.index(True)])[: len(tokens)]
    np.testing.assert_allclose(shares, attention / attention.max(), atol=1e-4)


def test_words_have_the_spaces_of_the_text(page: Any) -> None:
    visible = page.evaluate(
        """() => { words = ["", "", "", "der", "mann", ",", "dass", "."];
        showSentence({ tokens: [[[3, 4, 5, 6, 3, 7, 2]]], attention: [[Array(7).fill([1])]] }, 0,
          "der mann, dass der."); show("result", true); return $("sentence").innerText; }"""
    )
    assert visible == "der mann, dass der."
    assert page.locator("#sentence button").count() == 6


def test_an_answer_uses_the_vocabulary_of_its_own_model(page: Any, server: Server) -> None:
    waiting: list[Any] = []
    page.route("**/models/pairs/words", lambda route: waiting.append(route))  # after the response
    page.select_option("#model", "pairs")
    page.fill("#text", "Two dogs, a cat.")
    with page.expect_response("**/models/pairs:predict"):
        page.keyboard.press("Control+Enter")
    waiting.pop().continue_()
    outputs = server.ask("/v1/models/pairs:predict", {"inputs": ["Two dogs, a cat."]})[2]["outputs"]
    assert caption(page) == outputs["translation"][0]


def test_another_model_does_not_show_a_late_answer_of_the_previous_one(page: Any) -> None:
    waiting: list[Any] = []
    page.route("**/models/captioner:predict", lambda route: waiting.append(route))
    with page.expect_request("**/models/captioner:predict"):
        drop(page, "a.jpg", "image/jpeg", encode(smooth_image(0)))
    page.select_option("#model", "pairs")
    with page.expect_response("**/models/captioner:predict"):
        waiting.pop().continue_()
    page.wait_for_function("document.body !== null")  # one cycle of the event loop
    assert page.locator("#result").is_hidden()
    assert page.text_content("#state") == ""


def test_sampling_sends_its_settings(page: Any) -> None:
    drop(page, "a.jpg", "image/jpeg", encode(smooth_image(0)))
    caption(page)
    page.select_option("#search", "sample")
    page.wait_for_selector("#set-temperature")
    for name, value in ("seed", "3"), ("temperature", "5"):
        with page.expect_response(
            lambda found, name=name, value=value: (
                (found.request.post_data_json or {}).get("inputs", {}).get(name) == [int(value)]
            )
        ) as asked:
            page.fill(f"#set-{name}", value)
            page.keyboard.press("Tab")
    sent = asked.value.request.post_data_json
    assert sent["signature_name"] == "sample" and sent["inputs"]["temperature"] == [5]
    assert asked.value.status == 200


def test_an_unreadable_file_is_reported(page: Any) -> None:
    for name, kind, data, words in (
        ("a.jpg", "image/jpeg", b"<!doctype html>", "a web page"),
        ("a.jpg", "image/jpeg", encode(smooth_image(0))[:200], "truncated or damaged"),
        ("a.txt", "text/plain", b"words", "not an image"),
    ):
        drop(page, name, kind, data)
        page.wait_for_selector(f"#problem:has-text('{words}')")
        assert page.is_visible("#problem") and not page.is_visible("#result")
    drop(page, "a.webp", "image/webp", encode(smooth_image(0), "WEBP"))  # the browser converts it
    assert caption(page) and not page.is_visible("#problem")


def test_an_image_can_be_pasted_or_taken_with_the_camera(
    page: Any, server: Server, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"

    def paste() -> None:
        page.evaluate(PASTE, base64.b64encode(photo.read_bytes()).decode())

    def photograph() -> None:
        page.set_input_files("#camera", photo)  # as a phone's camera does

    for width, give in ((90, paste), (80, photograph)):
        photo.write_bytes(encode(smooth_image(width, width, 60), "PNG"))
        with page.expect_response("**/models/captioner:predict"):
            give()
        body = {"inputs": [{"b64": base64.b64encode(photo.read_bytes()).decode()}]}
        outputs = server.ask("/v1/models/captioner:predict", body)[2]["outputs"]
        assert caption(page) == outputs["caption"][0]
        assert page.evaluate("document.querySelector('#image').naturalWidth") == width


def test_a_text_gets_its_label(page: Any) -> None:
    page.select_option("#model", "reviews")
    page.fill("#text", "a fine film")
    page.click("#write button")
    page.wait_for_selector("#labels li")
    labels = page.locator("#labels b").all_inner_texts()
    assert page.inner_text("#verdict") == labels[0]
    assert sorted(labels) == ["bad", "good", "mixed"]
    values = [float(text.rstrip(" %")) for text in page.locator("#labels span").all_inner_texts()]
    assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(100, abs=0.2)
    drop(page, "a.jpg", "image/jpeg", encode(smooth_image(0)))
    page.wait_for_selector("#problem:has-text('takes text')")
