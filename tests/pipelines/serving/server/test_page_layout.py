"""The layout of the page in a browser: phone, dark mode, contrast, screenshots."""

from __future__ import annotations

import mimetypes
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.page_in_browser import (
    LIT,
    PATIENCE,
    bars,
    browser,
    caption,
    drop,
    needs_chromium,
    page,
    server,
)
from tests.support.paths import ROOT
from tests.support.server_process import serving
from tests.support.tiny.captioner import encode, smooth_image
from tests.support.video_files import write_clip

__all__ = ["browser", "page", "server"]  # fixtures
pytestmark = needs_chromium


def test_the_page_fits_a_phone_and_dark_mode(page: Any, tmp_path: Path) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 700})
    page.evaluate("make('option', 'a model with a very long name '.repeat(5), $('model'))")
    clip = write_clip(tmp_path / "a.avi", range(12)).read_bytes()
    for model, name, kind, data in (
        ("captioner", "a.jpg", "image/jpeg", encode(smooth_image(0, 900, 600))),
        ("clips", "a.avi", "video/x-msvideo", clip),
    ):
        page.select_option("#model", model)
        drop(page, name, kind, data)
        caption(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.locator("#sentence button").nth(0).dispatch_event("click")  # a tap
        page.set_viewport_size({"width": 360, "height": 640})  # the bars appear when scrolling
        assert max(bars(page)) > 0 if model == "clips" else page.evaluate(LIT)
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in shade[4:-1].split(",")) < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(page: Any, scheme: str) -> None:
    """WCAG 2.1 (AA) requires a contrast of at least 4.5 to 1."""
    page.emulate_media(color_scheme=scheme)
    drop(page, "a.jpg", "image/jpeg", encode(smooth_image(0)))
    caption(page)
    page.hover("#sentence button")
    page.evaluate(  # a source word with attention
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
    """Renew them with a trained model: `WORDREEL_DEMO=EXPORT,FILE,WORD pytest tests/…`."""
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
        page.screenshot(path=ROOT / "docs" / name)
