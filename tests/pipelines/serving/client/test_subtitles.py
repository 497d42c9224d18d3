"""Subtitles: times, numbering, escaping and merged cues."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pipelines.serving.client.subtitles import Cue, _merged, to_srt, to_vtt

TIMES = st.floats(0, 400_000)


@given(TIMES, TIMES)
def test_times_are_correct_to_the_millisecond(start: float, end: float) -> None:
    for text, point in (
        (to_vtt([Cue(start, end, "x")]), "."),
        (to_srt([Cue(start, end, "x")]), ","),
    ):
        found = re.findall(rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(point)}(\d\d\d)\b", text)
        seconds = [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in found]
        assert len(seconds) == 2
        assert abs(seconds[0] - start) <= 0.00051 and abs(seconds[1] - end) <= 0.00051


def test_cues_are_numbered_in_subrip_and_escaped_in_webvtt() -> None:
    cues = [Cue(0, 1, "a < b & c"), Cue(1, 2, "d --> e")]
    assert to_srt(cues) == (
        "1\n00:00:00,000 --> 00:00:01,000\na < b & c\n\n2\n00:00:01,000 --> 00:00:02,000\nd --> e\n"
    )
    header, *blocks = to_vtt(cues).split("\n\n")
    assert header == "WEBVTT"
    assert [block.split("\n")[1] for block in blocks] == ["a &lt; b &amp; c", "d --&gt; e"]


def test_equal_adjacent_captions_are_merged() -> None:
    cues = [Cue(0, 1, "a"), Cue(1, 2, "a"), Cue(2, 3, "b"), Cue(3, 4, "a")]
    assert _merged(cues) == [Cue(0, 2, "a"), Cue(2, 3, "b"), Cue(3, 4, "a")]
    assert _merged([]) == []
