"""What a run can start from: errors name both values, and the options that fit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from data.common.errors import UserError
from pipelines.config.config import Config
from pipelines.config.init_from import check_init_from, fingerprint
from pipelines.config.run_directory import INIT_WEIGHTS, check_data

NEW = Config(backbone="EfficientNetB0", units=16)


def write_run(folder: Path, config: Config = NEW) -> Config:
    """Write a run directory; return the configuration of a run that starts from it."""
    (folder / "best").mkdir(parents=True)
    for name in ("checkpoint", "ckpt-1.index", "ckpt-1.data-00000-of-00001"):
        (folder / "best" / name).write_text(name)
    (folder / "config.json").write_text(config.to_json())
    return dataclasses.replace(config, init_from=str(folder))


@pytest.mark.parametrize(
    "options", [{}, {"backbone": "efficientnet_b0", "image_size": 96, "layers": 3, "beams": 9}]
)
def test_another_spelling_or_an_unused_option_is_no_difference(
    options: dict[str, Any], tmp_path: Path
) -> None:
    check_init_from(dataclasses.replace(write_run(tmp_path), **options))
    check_init_from(Config())


def test_another_architecture_is_refused_with_the_options_that_fit(tmp_path: Path) -> None:
    config = dataclasses.replace(write_run(tmp_path), units=32, cell="gru", keep_punctuation=True)
    facts = r"\(--cell is lstm there, gru here; --units is 16 there, 32 here"
    with pytest.raises(UserError, match=facts) as error:
        check_init_from(config)
    assert str(error.value).endswith("add --cell lstm --units 16 --no-keep-punctuation")


def test_another_task_is_refused(tmp_path: Path) -> None:
    config = dataclasses.replace(write_run(tmp_path), task="video-captioning")
    with pytest.raises(UserError, match="is a run of image-captioning, this is one of video-capt"):
        check_init_from(config)


def test_what_is_not_a_run_with_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--init-from: .*is not a run directory: config\.json: No"):
        check_init_from(dataclasses.replace(NEW, init_from=str(tmp_path)))
    config = write_run(tmp_path / "run")
    (tmp_path / "run" / "best" / "checkpoint").unlink()
    with pytest.raises(UserError, match="has no weights yet: the first epoch"):
        check_init_from(config)
    fields = {**dataclasses.asdict(NEW), "warp_speed": 9}
    (tmp_path / "run" / "config.json").write_text(json.dumps(fields))
    with pytest.raises(UserError, match="newer version of Wordreel, with the option --warp-speed"):
        check_init_from(config)


def test_the_weights_are_pinned_but_a_trained_model_does_not_need_them(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    pins = {"the dataset": "a", INIT_WEIGHTS: fingerprint(tmp_path / "run")}
    check_data(tmp_path, pins)
    (tmp_path / "run" / "best" / "ckpt-1.index").write_text("others")
    with pytest.raises(UserError, match=r"the weights of --init-from changed since"):
        check_data(tmp_path, {**pins, INIT_WEIGHTS: fingerprint(tmp_path / "run")})
    check_data(tmp_path, {"the dataset": "a"})
