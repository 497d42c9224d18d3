"""The value of `--crop`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.common.errors import UserError
from pipelines.config.crop import Box, crop_box

PERCENT = st.integers(0, 100)


@given(PERCENT, PERCENT, PERCENT, PERCENT)
def test_a_crop_is_accepted_exactly_if_it_is_a_region_of_the_image(
    top: int, bottom: int, left: int, right: int
) -> None:
    box = Box(top / 100, bottom / 100, left / 100, right / 100)
    text = "{:.2f}:{:.2f},{:.2f}:{:.2f}".format(*box)
    if top < bottom and left < right:
        assert crop_box(text) == box
    else:
        with pytest.raises(UserError, match="TOP:BOTTOM,LEFT:RIGHT"):
            crop_box(text)


def test_no_crop_is_none() -> None:
    assert crop_box(None) is None


@pytest.mark.parametrize("text", ["", "0:1", "0:1,0:1.5", "-0.5:1,0:1", "0:1;0:1", "0:1,0:nan"])
def test_a_malformed_crop_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--crop is TOP:BOTTOM"):
        crop_box(text)
