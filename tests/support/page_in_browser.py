"""Fixtures and helpers for tests of the page in a browser."""

from __future__ import annotations

import base64
import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data.media.vocabulary import END
from tests.support.server_process import Server, serving
from tests.support.shared_folder import build_once
from tests.support.tiny import clips as tiny_clips
from tests.support.tiny import pairs as tiny_pairs
from tests.support.tiny import reviews as tiny_reviews
from tests.support.unverified_exports import unverified_exports

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: install it, for example with `apt-get install chromium`"
)
PATIENCE = 240_000  # milliseconds; long enough for a slow machine
DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.querySelector("#drop").dispatchEvent(
      new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""
OVERLAY = "document.querySelector('#overlay').toDataURL()"
LIT = """(() => {
  const overlay = document.querySelector("#overlay");
  const pixels = overlay.getContext("2d").getImageData(0, 0, overlay.width, overlay.height);
  return pixels.data.some(Boolean);
})()"""


@pytest.fixture(scope="module")
def server(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with a model of each kind; other tests verify the exports."""
    makers: dict[str, Callable[[Path], Any]] = {
        "clips": functools.partial(tiny_clips.tiny, "video-captioning"),
        "pairs": tiny_pairs.tiny,
        "reviews": tiny_reviews.tiny,
    }

    def write(folder: Path) -> None:
        with unverified_exports():
            for name, tiny in makers.items():
                tiny(new_folder(folder / "data" / name)).model.export(folder / name, {})

    models = build_once(tmp_path_factory, "page", write)
    with serving(captioner_folder, *(models / name for name in makers)) as server:
        yield server.ready()


def new_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
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
    """An open page; a request to another site or a script error fails the test."""
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


def attention_map(place: int, cells: int) -> list[float]:
    """Return the attention of a stubbed word: one clear maximum, in another cell for each word."""
    peak = (3 * place + 1) % cells
    return [0.8 if cell == peak else 0.2 / (cells - 1) for cell in range(cells)]


def stub_caption(page: Any, server: Server, model: str, cells: int) -> str:
    """Answer the page's requests to a model with a known caption; return the caption.

    The page is under test, not the model: the attention of random weights is nearly flat, and its
    maximum differs between processors. `attention_map` is the attention of each word.
    """
    ids = [4, 5, 6, 7]
    words = server.ask(f"/wordreel/models/{model}/words")[2]
    text = " ".join(words[each] for each in ids)
    outputs = {
        "caption": [text],
        "captions": [[text]],
        "scores": [[-1.5]],
        "tokens": [[[*ids, END]]],
        "attention": [[[attention_map(place, cells) for place in range(len(ids) + 1)]]],
    }
    page.route(f"**/models/{model}:predict", lambda route: route.fulfill(json={"outputs": outputs}))
    return text


def bars(page: Any) -> list[float]:
    """Return the heights of the bars under the frames, in pixels."""
    found: list[float] = page.evaluate(
        """() => [...document.querySelectorAll("#strip i")]
        .map((bar) => parseFloat(getComputedStyle(bar, "::after").height))"""
    )
    return found
