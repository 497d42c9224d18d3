"""Run directories as training leaves them, written without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.config.config import Config
from pipelines.config.run_directory import check_data
from pipelines.config.stored_runs import write_history


def write_run(
    folder: Path,
    config: Config,
    splits: dict[str, dict[str, Any]] | None = None,
    *,
    epochs: int = 2,
    pin: str = "a",
) -> Path:
    """Write a run; one without scores is not complete."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config.to_json())
    check_data(folder, {"the dataset": pin})
    history = [{"epoch": n + 1, "loss": 1.0, "accuracy": 50.0 - n} for n in range(epochs)]
    write_history(folder, history)
    for part, newest in (("checkpoints", 3), ("best", 1)):
        (folder / part).mkdir()
        for number in range(1, newest + 1):
            (folder / part / f"ckpt-{number}.index").write_bytes(bytes(10))
            (folder / part / f"ckpt-{number}.data-00000-of-00001").write_bytes(bytes(1000))
        (folder / part / "checkpoint").write_text(f'model_checkpoint_path: "ckpt-{newest}"\n')
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.1").write_bytes(bytes(500))
    if splits is not None:
        metrics = {"history": history, "splits": splits}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder
