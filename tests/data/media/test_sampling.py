"""Frame sampling: the documented rule for any length, rate and count; invalid values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data.common.errors import UserError
from data.media.sampling import MAX_FRAMES, BadClip, Sampling


def chosen(sampling: Sampling, count: int, interval: float) -> list[int]:
    """Return the frames that `Sampling` selects at a constant rate, by its documented rule."""
    times = sampling.times(0.0, count * interval, interval)
    begins = np.arange(count) * interval
    late = np.unique(np.searchsorted(begins, times - interval / 2 - 1e-6))
    return [int(number) for number in late if number < count]


clips = st.tuples(st.integers(1, 2000), st.sampled_from([1 / 60, 1 / 29.97, 0.04, 0.1, 1.0]))


@given(clips, st.integers(1, 64), st.sampled_from(["centred", "uniform"]))
def test_the_number_of_frames_is_the_requested_count_or_the_length(
    clip: tuple[int, float], count: int, placing: str
) -> None:
    length, interval = clip
    indices = chosen(Sampling(count=count, placing=placing), length, interval)
    assert len(indices) == min(count, length)
    assert indices[0] >= 0 and indices[-1] < length


@given(clips, st.integers(2, 64))
def test_uniform_sampling_includes_first_and_last_frame(
    clip: tuple[int, float], count: int
) -> None:
    length, interval = clip
    indices = chosen(Sampling(count=count, placing="uniform"), length, interval)
    assert (indices[0], indices[-1]) == (0, length - 1)
    gaps = np.diff(indices)
    assert length == 1 or gaps.max() - gaps.min() <= 1


@given(clips, st.integers(1, 64))
def test_centred_sampling_takes_the_middle_of_each_segment(
    clip: tuple[int, float], count: int
) -> None:
    length, interval = clip
    assume(count <= length)
    for segment, index in enumerate(chosen(Sampling(count=count), length, interval)):
        low, high = segment * length / count, (segment + 1) * length / count
        assert abs(index + 0.5 - (low + high) / 2) <= 0.5 + 1e-4
        assert low - 0.5 < index < high


@given(clips, st.floats(0.1, 100))
def test_a_rate_determines_the_distance_of_frames(clip: tuple[int, float], rate: float) -> None:
    length, interval = clip
    assume(length * interval * min(rate, 1 / interval) <= MAX_FRAMES - 1)
    indices = chosen(Sampling(rate=rate), length, interval)
    assert indices[0] == 0
    apart = max(1.0, 1 / (rate * interval))
    assert all(abs(index - k * apart) <= 0.5 + 1e-3 for k, index in enumerate(indices))
    assert indices[-1] + apart > length - 1.01


@pytest.mark.parametrize("interval", [0.04, 1e5])  # a header may contain any rate
def test_a_rate_with_too_many_frames_is_rejected(interval: float) -> None:
    with pytest.raises(
        BadClip, match=r"too long: 500 frames per second of 4,000\.0 s; the limit is 1,024"
    ):
        Sampling(rate=500).times(0, 4000, interval)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"count": 4, "rate": 2.0},
        {"count": 0},
        {"count": 10**6},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"count": 4, "max_side": 0},
    ],
)
def test_an_invalid_sampling_is_rejected(options: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Sampling(**options)  # type: ignore[arg-type]


def test_the_fingerprint_depends_on_every_field() -> None:
    choices: Sequence[Sampling] = (
        Sampling(count=4),
        Sampling(count=5),
        Sampling(rate=4),
        Sampling(count=4, placing="uniform"),
        Sampling(count=4, max_side=64),
    )
    assert len({choice.fingerprint for choice in choices}) == len(choices)
    assert Sampling(count=4).fingerprint == choices[0].fingerprint
