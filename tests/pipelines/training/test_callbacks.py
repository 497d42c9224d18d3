"""Keras callbacks by import path: they see what a Keras fit shows them, and may stop training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from data.common.errors import UserError
from pipelines.training.callbacks import load_callbacks
from tests.support.tiny.trainer import STEPS, batches, trainer


class Recorder(keras.callbacks.Callback):
    """Records every call, and stops training after the second epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.logs: list[Any] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.calls.append("begin")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(str(batch))
        self.batch_loss = logs["loss"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.calls.append(f"epoch {epoch}")
        self.logs.append((logs, float(self.model.optimizer.learning_rate)))
        self.model.stop_training = epoch == 1

    def on_train_end(self, logs: Any = None) -> None:
        self.calls.append("end")


def test_a_callback_sees_every_step_and_stops_training(tmp_path: Path) -> None:
    (it,), trained = load_callbacks([f"{__name__}:Recorder"]), trainer(tmp_path)
    assert type(it).__name__ == "Recorder"
    trained.fit(batches, lambda epoch: {"val_loss": 5.0 - epoch, "CIDEr-D": epoch}, "CIDEr-D", [it])
    steps = [str(number) for number in range(STEPS)]
    assert it.calls == ["begin", *steps, "epoch 0", *steps, "epoch 1", "end"]
    assert len(trained.history) == 2
    logs = [each for each, _ in it.logs]
    assert [each["val_loss"] for each in logs] == [5.0, 4.0]
    assert [each["val_cider-d"] for each in logs] == [0, 1]
    assert [each["loss"] for each in logs] == [each["loss"] for each in trained.history]
    assert all(rate > 0 for _, rate in it.logs)


@pytest.mark.parametrize(
    "path, message",
    [
        ("keras.callbacks", "give a module and a name"),
        ("no_such_module:It", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("keras.callbacks:CSVLoger", "AttributeError: .*CSVLoger"),
        ("keras.callbacks:CSVLogger", "filename.*name a function of your own that returns it"),
        ("keras.layers:Flatten", "it returns a Flatten, not a keras.callbacks.Callback"),
    ],
)
def test_a_path_without_a_callback_is_refused(path: str, message: str) -> None:
    with pytest.raises(UserError, match=f"--callback {path}: .*{message}"):
        load_callbacks([path])


def test_a_module_of_the_current_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import keras\n\ndef stopper():\n    return keras.callbacks.EarlyStopping()\n"
    (tmp_path / "own_callbacks_of_a_test.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    (it,) = load_callbacks(["own_callbacks_of_a_test:stopper"])
    assert isinstance(it, keras.callbacks.EarlyStopping)
