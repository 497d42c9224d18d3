"""The page in a real browser: drop a picture, read the caption, point at a word."""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SHARED_DATA
from PIL import Image
from server_process import Server, serving
from tiny_captioner import encode, picture
from tiny_reviews import tiny

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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


@pytest.fixture(scope="module")
def server(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    folder = tmp_path_factory.mktemp("page")
    model, source, head = tiny(folder)
    head.export(model, source, folder / "reviews", {})
    with serving(captioner_folder, folder / "reviews") as server:
        yield server.ready()


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
    page.wait_for_selector("#model option:nth-child(2)", state="attached")
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
    # What is darkest and what is brightest lie where the model's attention says.
    look = outputs["attention"][0][0][1]
    alpha = page.evaluate(
        """() => { const c = document.querySelector("#veil"), g = c.getContext("2d"), found = [];
        for (let r = 0; r < 4; r++) for (let k = 0; k < 4; k++) found.push(g.getImageData(
          (k + 0.5) * c.width / 4, (r + 0.5) * c.height / 4, 1, 1).data[3]); return found; }"""
    )
    assert alpha.index(min(alpha)) == look.index(max(look))
    page.screenshot(path=tmp_path / "page.png")
    others.nth(1).click()
    assert caption(page) == outputs["captions"][0][1]


def test_it_goes_by_keyboard(page: Any) -> None:
    drop(page, "a.png", "image/png", encode(picture(0), "PNG"))
    caption(page)
    page.focus("#sentence button")
    veils = [page.evaluate(VEIL)]
    page.keyboard.press("ArrowRight")
    veils.append(page.evaluate(VEIL))
    assert page.evaluate("document.activeElement.dataset.place") == "1"
    page.keyboard.press("Escape")
    veils.append(page.evaluate(VEIL))
    assert len(set(veils)) == 3
    names = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, textarea")]
        .filter((each) => each.checkVisibility())
        .filter((each) => !(each.textContent || each.ariaLabel || (each.labels || []).length))"""
    )
    assert names == []


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
    assert sorted(labels) == ["bad", "good", "mixed"]
    values = [float(text.rstrip(" %")) for text in page.locator("#labels span").all_inner_texts()]
    assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(100, abs=0.2)


def test_it_fits_a_phone_and_the_dark(page: Any) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 700})
    drop(page, "a.jpg", "image/jpeg", encode(picture(0, 900, 600)))
    caption(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in shade[4:-1].split(",")) < 60


def test_the_screenshot_of_the_readme(browser: Any) -> None:
    """Taken anew with a trained model: `WORDREEL_DEMO=EXPORT,PICTURE,WORD pytest tests/…`."""
    if "WORDREEL_DEMO" not in os.environ or CHROMIUM is None:
        pytest.skip("no WORDREEL_DEMO=EXPORT,PICTURE,WORD")
    export, path, word = os.environ["WORDREEL_DEMO"].split(",")
    with serving(export) as server:
        server.ready()
        page = browser.new_page(viewport={"width": 1000, "height": 720}, device_scale_factor=1.5)
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.wait_for_selector("#model option", state="attached")
        drop(page, "photo.jpg", "image/jpeg", Path(path).read_bytes())
        assert caption(page)
        page.locator("#sentence button", has_text=word).first.hover()
        page.screenshot(path=Path(__file__).parents[1] / "docs" / "page.png")
