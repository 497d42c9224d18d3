"""Gradient flow in a run: recorded gradients, without an effect on training."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from data.common.errors import UserError
from models.heads.sequence_decoder import SequenceDecoder
from models.layers.cells import CELLS
from models.layers.rnn import run_cell
from models.layers.unroll import record_loops, state_gradients
from models.memory import Memory, memory_shape
from pipelines.cli.main import run
from pipelines.diagnostics import run_gradient_flow
from pipelines.diagnostics.gradient_flow import build_cell, measure_gradient_flow
from pipelines.training import trainer as training
from pipelines.training.trainer import Trainer
from tests.support.tiny.reviews import tiny

UNITS, EXAMPLES, STEPS = 5, 3, 12


@pytest.mark.parametrize("name", CELLS)
def test_recorded_gradients_equal_the_product_of_jacobians(name: str) -> None:
    cell = build_cell(name, UNITS, initializer="glorot", scale=1.0, seed=3)
    inputs = tf.random.stateless_normal((EXAMPLES, STEPS, UNITS), [1, 2])
    directions = np.random.default_rng(0).normal(size=(EXAMPLES, UNITS))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    with tf.GradientTape() as tape, record_loops(tape) as loops:
        h = run_cell(cell, inputs, tf.ones([EXAMPLES, STEPS], tf.bool))
        loss = tf.reduce_sum(tf.cast(directions, tf.float32) * h[:, -1])
    (found,) = state_gradients(tape, loss, loops)
    flow = measure_gradient_flow(name, cell, inputs, seed=0)
    for part, values in found._asdict().items():
        norms = np.median(np.linalg.norm(values, axis=-1), axis=1)
        np.testing.assert_allclose(norms, flow.gradients[part], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(
        run_gradient_flow._singular_values(loops[0]), flow.singular_values, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("decoder", ["show-tell", "show-attend-tell", "updown"])
def test_a_decoder_gradient_equals_finite_differences(decoder: str) -> None:
    """∂L/∂h_t · d against (L(h_t + ε d) - L(h_t - ε d)) / 2ε, with d added by hand."""
    head = SequenceDecoder(7, decoder=decoder, units=4, embedding=4, dropout=0.0)
    head.build(memory_shape(4))
    values = tf.random.stateless_normal((2, 3, 4), [3, 4])
    memory = Memory(values, tf.ones([2, 3], tf.bool), tf.reduce_mean(values, axis=1))
    tokens = tf.constant([[1, 4, 5, 6, 2], [1, 5, 5, 2, 0]])
    with tf.GradientTape() as tape, record_loops(tape) as loops:
        loss = head.loss(memory, (tokens, tf.constant([0, 1])))
    (found,) = state_gradients(tape, loss, loops)
    speaker = found if hasattr(found, "h") else found[-1]
    assert speaker.h.shape == (4, 2, 4)
    direction = tf.random.stateless_normal([2, 4], [5, 6])

    def nudged(size: float, at: int) -> float:
        loop = loops[0]
        state, outputs = loop.initial_state, []
        for number, each in enumerate(loop.inputs):
            output, state = loop.step(each, state)
            if number == at:  # h_t is in the state and at the head of the output
                last = state if hasattr(state, "h") else state[-1]
                moved = last._replace(h=last.h + size * direction)
                state = moved if last is state else state._replace(language=moved)
                output = tf.concat([output[:, :4] + size * direction, output[:, 4:]], axis=1)
            outputs.append(output)
        real = tf.not_equal(tokens[:, 1:], 0)
        logits = head.compute_logits(tf.boolean_mask(tf.stack(outputs, axis=1), real))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.boolean_mask(tokens[:, 1:], real), logits
        )
        return float(tf.reduce_mean(losses))

    for at in (0, 2):
        slope = (nudged(0.01, at) - nudged(-0.01, at)) / 0.02
        expected = float(tf.reduce_sum(speaker.h[at] * direction))
        assert slope == pytest.approx(expected, abs=2e-4)


def trained(folder: Path) -> Any:
    """Return a model after an epoch."""
    experiment = tiny(folder, epochs=1, units=5, dropout=0.5)
    model, steps = experiment.model, experiment.steps_per_epoch()
    trainer = Trainer(model, experiment.config, folder / "run", steps)
    trainer.fit(
        experiment.batches,
        lambda epoch: experiment.evaluate("validation", epoch).summary(),
        experiment.head.monitor,
    )
    return model


def logged(folder: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for path in sorted((folder / "run" / "tensorboard").glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith("gradient flow/"):
                    found.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    return found


def test_gradient_norms_are_logged_without_effect_on_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained(tmp_path / "a")
    found = logged(tmp_path / "a")
    assert set(found) == {
        f"gradient flow/{way}_0, {end} step"
        for way in ("forwards", "backwards")
        for end in ("first", "last")
    }
    assert all(len(values) == 1 and values[0] > 0 for values in found.values())
    monkeypatch.setattr(training, "gradient_flow_norms", lambda model, batch: {})
    other = trained(tmp_path / "b")
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_every_curve_has_training_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    trained(tmp_path)
    steps: dict[str, list[int]] = {}
    for path in sorted((tmp_path / "run" / "tensorboard").glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                steps.setdefault(value.tag, []).append(event.step)
    tags = {"train/loss", "train/learning_rate", "train/epoch_loss", "train/input_wait"}
    assert tags | {"val/accuracy"} <= set(steps)
    assert steps["train/loss"] == [1, 2, 3]
    assert steps["val/accuracy"] == [3]
    for name, found in steps.items():
        assert found == sorted(set(found)), name


def test_the_command_measures_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    experiment = tiny(tmp_path, cell="gru")
    model = experiment.model
    folder = tmp_path / "run"
    (folder / "config.json").write_text(experiment.config.to_json())
    tf.train.CheckpointManager(tf.train.Checkpoint(model=model), folder / "best", 1).save()
    trained_weights = [weight.numpy() for weight in model.weights]

    def build(config: Any, prepared: None, folder: Path) -> Any:
        assert config.batch_size == 2 and folder == tmp_path / "run"
        for weight in model.weights:
            weight.assign(0 * weight)  # the best ones are to be loaded
        return experiment

    monkeypatch.setattr("pipelines.tasks.assembly.prepare", lambda config: None)
    monkeypatch.setattr("pipelines.tasks.assembly.build", build)
    out = tmp_path / "flow.png"
    words = ["gradient-flow", str(tmp_path / "run"), "--examples", "2", "--out", str(out)]
    assert run(words) == 0
    output = capfd.readouterr().out
    assert "forwards_0: the gradient" in output and "backwards_0: the gradient" in output
    for weight, expected in zip(model.weights, trained_weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    with out.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lengths = {ids.shape[1] for ids, _ in experiment.batches(0)}
    assert len(rows) // 2 in lengths and out.exists()
    assert all(float(row["gradient_h"]) >= 0 for row in rows)


def test_the_measured_batch_is_long_and_without_padding_if_possible() -> None:
    batches = [[[1, 2], [1, 2]], [[1, 7, 2], [1, 5, 2]], [[1, 5, 6, 2], [1, 2, 0, 0]]]
    ids = [tf.constant(batch, tf.int32) for batch in batches]

    def chosen(some: list[tf.Tensor]) -> list[list[int]]:
        inputs, _ = run_gradient_flow._select_batch([(each, each) for each in some])
        selected: list[list[int]] = tf.convert_to_tensor(inputs).numpy().tolist()
        return selected

    assert chosen(ids) == batches[1]
    assert chosen(ids[2:]) == batches[2]


def test_a_missing_run_or_missing_weights_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="is not a run directory"):
        run(["gradient-flow", str(tmp_path), "--out", str(tmp_path / "x.png")])
    experiment = tiny(tmp_path)
    (tmp_path / "config.json").write_text(experiment.config.to_json())
    monkeypatch.setattr("pipelines.tasks.assembly.prepare", lambda config: None)
    monkeypatch.setattr("pipelines.tasks.assembly.build", lambda *_: experiment)
    with pytest.raises(UserError, match="has no weights yet"):
        run(["gradient-flow", str(tmp_path), "--out", str(tmp_path / "x.png")])
