"""The page in a real browser: drop a picture, read the caption, point at a word."""

from __future__ import annotations

import base64
import io
import mimetypes
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_clips
import tiny_pairs
import tiny_reviews
from conftest import SHARED_DATA
from PIL import Image
from server_process import Server, serving
from tiny_captioner import encode, picture
from video_files import write_clip

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: install it, for example with `apt-get install chromium`"
)
PATIENCE = 240_000  # milliseconds; a busy machine is slow
DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.querySelector("#drop").dispatchEvent(
      new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""
VEIL = "document.querySelector('#veil').toDataURL()"
LIT = """(() => {
  const veil = document.querySelector("#veil");
  const pixels = veil.getContext("2d").getImageData(0, 0, veil.width, veil.height);
  return pixels.data.some(Boolean);
})()"""


@pytest.fixture(scope="module")
def server(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a model of each kind; others prove that their exports are sound."""
    scratch, folders = tmp_path_factory.mktemp("page"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.saved_model.refuse_unless_sound", lambda folder: None)
        for name, model, source, head in (
            ("clips", *tiny_clips.tiny("video-captioning", made(scratch / "video"))),
            ("pairs", *tiny_pairs.tiny(made(scratch / "text"))),
            ("reviews", *tiny_reviews.tiny(made(scratch / "review"))),
        ):
            folders.append(scratch / name)
            head.export(model, source, folders[-1], {})
    with serving(captioner_folder, *folders) as server:
        yield server.ready()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(server: Server, browser: Any) -> Iterator[Any]:
    """A page that has been opened; what it asks of others, or complains of, fails the test."""
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.set_default_timeout(PATIENCE)
    strange: list[str] = []
    own = (f"http://127.0.0.1:{server.port}/", "data:", "blob:")
    page.on("request", lambda each: strange.append(each.url) if not each.url.startswith(own) else 0)
    page.on("pageerror", lambda error: strange.append(str(error)))
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.wait_for_selector("#model option:nth-child(4)", state="attached")
    yield page
    page.close()
    assert not strange


def drop(page: Any, name: str, kind: str, data: bytes) -> None:
    page.evaluate(DROP, [name, kind, base64.b64encode(data).decode()])


def caption(page: Any) -> str:
    page.wait_for_selector("#result:not([hidden]):not([aria-busy])")
    return str(page.inner_text("#sentence"))


def test_a_dropped_picture_gets_its_caption_and_words_show_where_the_model_looked(
    page: Any, server: Server, tmp_path: Path
) -> None:
    photo = next((SHARED_DATA / "flickr8k").rglob("*.jpg"), None)  # a real one, where there is any
    data = photo.read_bytes() if photo else encode(picture(0, 300, 200))
    width = Image.open(io.BytesIO(data)).width
    drop(page, "a.jpg", "image/jpeg", data)
    body = {"inputs": [{"b64": base64.b64encode(data).decode()}]}
    outputs = server.ask("/v1/models/captioner:predict", body)[2]["outputs"]
    assert caption(page) == outputs["caption"][0]
    assert page.text_content("#state") == f"Answer: {outputs['caption'][0]}"
    others = page.locator("#others button")
    assert others.count() == len(outputs["captions"][0])
    assert page.evaluate("document.querySelector('#picture').naturalWidth") == width
    bare = page.evaluate(VEIL)
    words = page.locator("#sentence button")
    assert words.count() == len([token for token in outputs["tokens"][0][0] if token > 2])
    words.nth(0).hover()
    first = page.evaluate(VEIL)
    words.nth(1).hover()
    second = page.evaluate(VEIL)
    assert len({bare, first, second}) == 3
    # What glows most lies where the model's attention says, and is veiled least.
    look = outputs["attention"][0][0][1]
    shades = page.evaluate(
        """() => { const c = document.querySelector("#veil"), g = c.getContext("2d"), found = [];
        for (let r = 0; r < 4; r++) for (let k = 0; k < 4; k++) found.push([...g.getImageData(
          (k + 0.5) * c.width / 4, (r + 0.5) * c.height / 4, 1, 1).data]); return found; }"""
    )
    at = look.index(max(look))
    assert shades[at][0] == max(shade[0] for shade in shades) > 200
    assert shades[at][3] == min(shade[3] for shade in shades) < 100
    page.screenshot(path=tmp_path / "page.png")
    others.nth(1).click()
    assert caption(page) == outputs["captions"][0][1]


def test_all_of_it_goes_by_keyboard(page: Any, tmp_path: Path) -> None:
    """From the top of the page: to the file, to every word, and by arrows back."""
    (tmp_path / "a.png").write_bytes(encode(picture(0), "PNG"))
    reach(page, "#file")
    page.set_input_files("#file", tmp_path / "a.png")  # the dialogue is the browser's own
    count = len(caption(page).split())
    veils = [page.evaluate(VEIL)]
    reach(page, "#sentence button")
    for place in range(count):
        assert page.evaluate("document.activeElement.dataset.place") == str(place)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        veils.append(page.evaluate(VEIL))
        page.keyboard.press("Tab")
    assert len(set(veils)) == 1 + count
    assert not page.evaluate(LIT)  # away from the words
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(VEIL) == veils[-2]
    page.keyboard.press("Escape")
    assert not page.evaluate(LIT)
    names = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, textarea")]
        .filter((each) => each.checkVisibility())
        .filter((each) => !(each.textContent || each.ariaLabel || (each.labels || []).length))"""
    )
    assert names == []


def reach(page: Any, selector: str) -> None:
    """Press Tab until what is wanted has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"Tab never comes to {selector}")


def test_a_dropped_clip_shows_its_frames_and_bars_under_them(
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
    assert bars(page) == [0] * 6
    words = page.locator("#sentence button")
    seen = []
    for place in (0, words.count() - 1):
        words.nth(place).hover()
        seen.append(bars(page))
        look = np.array(outputs["attention"][0][0][place])  # at 4 of the 6 frames
        shown = np.array(seen[-1])[[0, 2, 3, 5]]
        np.testing.assert_allclose(shown, shown.max() * look / look.max(), atol=1.0)
        assert seen[-1][1] == seen[-1][4] == 0 < max(seen[-1])
    assert seen[0] != seen[1]
    page.hover("h1")
    assert bars(page) == [0] * 6


def bars(page: Any) -> list[float]:
    """Return the heights of the bars under the frames, in pixels."""
    found: list[float] = page.evaluate(
        """() => [...document.querySelectorAll("#strip i")]
        .map((bar) => parseFloat(getComputedStyle(bar, "::after").height))"""
    )
    return found


def test_a_translation_shows_the_words_that_it_looked_at(page: Any, server: Server) -> None:
    page.select_option("#model", "pairs")
    text = "Two dogs, a cat."
    page.fill("#text", text)
    page.keyboard.press("Control+Enter")
    outputs = server.ask("/v1/models/pairs:predict", {"inputs": [text]})[2]["outputs"]
    assert caption(page) == outputs["translation"][0]
    tokens = page.locator("#source span").all_inner_texts()
    assert tokens[1:-1] == ["two", "dogs", ",", "a", "cat", "."]  # as the model reads it
    page.focus("#sentence button")
    shares = page.evaluate(
        "[...document.querySelectorAll('#source span')].map((each) => Number("
        "each.style.getPropertyValue('--share')))"
    )
    look = np.array(outputs["attention"][0][0][0])[: len(tokens)]
    np.testing.assert_allclose(shares, look / look.max(), atol=1e-4)


def test_words_stand_as_far_apart_as_in_the_text(page: Any) -> None:
    shown = page.evaluate(
        """() => { words = ["", "", "", "der", "mann", ",", "dass", "."];
        spell({ tokens: [[[3, 4, 5, 6, 3, 7, 2]]], attention: [[Array(7).fill([1])]] }, 0,
          "der mann, dass der."); show("result", true); return $("sentence").innerText; }"""
    )
    assert shown == "der mann, dass der."
    assert page.locator("#sentence button").count() == 6


def test_an_answer_is_spelled_in_the_words_of_its_own_model(page: Any, server: Server) -> None:
    waiting: list[Any] = []
    page.route(
        "**/models/pairs/words", lambda route: waiting.append(route)
    )  # they come after the answer
    page.select_option("#model", "pairs")
    page.fill("#text", "Two dogs, a cat.")
    with page.expect_response("**/models/pairs:predict"):
        page.keyboard.press("Control+Enter")
    waiting.pop().continue_()
    outputs = server.ask("/v1/models/pairs:predict", {"inputs": ["Two dogs, a cat."]})[2]["outputs"]
    assert caption(page) == outputs["translation"][0]


def test_another_model_does_not_show_the_answer_of_the_one_before(page: Any) -> None:
    waiting: list[Any] = []
    page.route("**/models/captioner:predict", lambda route: waiting.append(route))
    with page.expect_request("**/models/captioner:predict"):
        drop(page, "a.jpg", "image/jpeg", encode(picture(0)))
    page.select_option("#model", "pairs")
    with page.expect_response("**/models/captioner:predict"):
        waiting.pop().continue_()
    page.wait_for_function("document.body !== null")  # a turn of the browser
    assert page.locator("#result").is_hidden()
    assert page.text_content("#state") == ""


def test_a_search_of_another_kind_is_asked_with_its_settings(page: Any) -> None:
    drop(page, "a.jpg", "image/jpeg", encode(picture(0)))
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


def test_what_cannot_be_read_is_said_in_words(page: Any) -> None:
    for name, kind, data, words in (
        ("a.jpg", "image/jpeg", b"<!doctype html>", "a web page"),
        ("a.jpg", "image/jpeg", encode(picture(0))[:200], "cut short or damaged"),
        ("a.txt", "text/plain", b"words", "not a picture"),
    ):
        drop(page, name, kind, data)
        page.wait_for_selector(f"#problem:has-text('{words}')")
        assert page.is_visible("#problem") and not page.is_visible("#result")
    drop(page, "a.webp", "image/webp", encode(picture(0), "WEBP"))  # the browser converts it
    assert caption(page) and not page.is_visible("#problem")


def test_a_text_gets_its_label(page: Any) -> None:
    page.select_option("#model", "reviews")
    page.fill("#text", "a fine film")
    page.click("text=Ask")
    page.wait_for_selector("#labels li")
    labels = page.locator("#labels b").all_inner_texts()
    assert page.inner_text("#verdict") == labels[0]
    assert sorted(labels) == ["bad", "good", "mixed"]
    values = [float(text.rstrip(" %")) for text in page.locator("#labels span").all_inner_texts()]
    assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(100, abs=0.2)
    drop(page, "a.jpg", "image/jpeg", encode(picture(0)))
    page.wait_for_selector("#problem:has-text('reads what you write')")


def test_it_fits_a_phone_and_the_dark(page: Any, tmp_path: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 700})
    page.evaluate("make('option', 'a model with a very long name '.repeat(5), $('model'))")
    clip = write_clip(tmp_path / "a.avi", range(12)).read_bytes()
    for model, name, kind, data in (
        ("captioner", "a.jpg", "image/jpeg", encode(picture(0, 900, 600))),
        ("clips", "a.avi", "video/x-msvideo", clip),
    ):
        page.select_option("#model", model)
        drop(page, name, kind, data)
        caption(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.locator("#sentence button").nth(0).dispatch_event("click")  # as a finger does
        page.set_viewport_size({"width": 360, "height": 640})  # its bars come as one scrolls
        assert max(bars(page)) > 0 if model == "clips" else page.evaluate(LIT)
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in shade[4:-1].split(",")) < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(page: Any, scheme: str) -> None:
    """At least 4.5 to 1, as WCAG 2.1 wants it (AA)."""
    page.emulate_media(color_scheme=scheme)
    drop(page, "a.jpg", "image/jpeg", encode(picture(0)))
    caption(page)
    page.hover("#sentence button")
    page.evaluate(  # a word that a translation looked at
        "show('source', true); make('span', 'seen', $('source')).style.setProperty('--share', 1)"
    )
    pairs = page.evaluate(
        """() => [...document.querySelectorAll("h1, label, .button, select, p, #sentence button, "
          + "#others button, #others span, #source span")].filter((each) => each.checkVisibility())
          .map((each) => {
          const ink = getComputedStyle(each).color;
          let ground = "rgba(0, 0, 0, 0)";
          for (let at = each; at && ground === "rgba(0, 0, 0, 0)"; at = at.parentElement)
            ground = getComputedStyle(at).backgroundColor;
          return [each.id || each.textContent, ink, ground]; })"""
    )
    assert len(pairs) > 15
    weak = {name for name, *shades in pairs if contrast(*map(luminance, shades)) < 4.5}
    assert not weak


def luminance(shade: str) -> float:
    """Return the relative luminance of "rgb(…)" or "color(srgb …)", of WCAG 2.1."""
    parts = np.array([float(part) for part in re.findall(r"[\d.]+", shade)])
    shares = parts if shade.startswith("color(srgb ") else parts / 255
    linear = np.where(shares <= 0.03928, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: float, two: float) -> float:
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)


def test_the_screenshots_of_the_readme(browser: Any) -> None:
    """Taken anew with a trained model: `WORDREEL_DEMO=EXPORT,FILE,WORD pytest tests/…`."""
    if "WORDREEL_DEMO" not in os.environ:
        pytest.skip("no WORDREEL_DEMO=EXPORT,FILE,WORD")
    export, path, word = os.environ["WORDREEL_DEMO"].split(",")
    kind = mimetypes.guess_type(path)[0] or ""
    with serving(export) as server:
        server.ready()
        page = browser.new_page(viewport={"width": 1000, "height": 720}, device_scale_factor=1.5)
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.wait_for_selector("#model option", state="attached")
        drop(page, "file", kind, Path(path).read_bytes())
        assert caption(page)
        page.evaluate("scrollTo(0, 0)")
        page.locator("#sentence button", has_text=word).first.hover()
        name = "page.png" if kind.startswith("image/") else "page-clip.png"
        page.screenshot(path=Path(__file__).parents[1] / "docs" / name)
