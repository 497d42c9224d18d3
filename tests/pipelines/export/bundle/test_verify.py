"""The files of an export, and its verification before it is published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from data.common.errors import UserError
from data.sharding.datasets import license_of
from pipelines.cli.main import run
from pipelines.export.bundle.verify import verify
from pipelines.export.layout import find_version, model_folder, model_name, versions
from pipelines.export.version import write_export


def test_warm_up_requests_cover_every_signature_in_both_sizes(captioner_folder: Path) -> None:
    path = captioner_folder / "1" / "assets.extra" / "tf_serving_warmup_requests"
    found = set()
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == "captioner"
        rows = tf.make_ndarray(request.inputs["image_bytes"])
        assert all(each.startswith(b"\xff\xd8\xff") for each in rows)
        found.add((request.model_spec.signature_name, len(rows)))
    names = ("serving_default", "greedy", "sample")
    assert found == {(name, rows) for name in names for rows in (1, 32)}


def test_the_serving_files_are_valid(captioner_folder: Path) -> None:
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((captioner_folder / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("captioner", "/models/captioner")
    batching = batching_parameters()
    text_format.Parse((captioner_folder / "batching_parameters.txt").read_text(), batching)
    assert batching.max_batch_size.value == 32 and batching.num_batch_threads.value >= 1
    assert list(batching.allowed_batch_sizes) == [1, 2, 4, 8, 16, 32]  # the last is the maximum
    compose = (captioner_folder / "compose.yaml").read_text()
    assert f"image: tensorflow/serving:{tf.__version__}" in compose
    assert "--batching_parameters_file=/models/captioner/batching_parameters.txt" in compose
    # TensorFlow Serving does not batch scalars: every input has rows.
    rows = json.loads((captioner_folder / "requests" / "sample-instances.json").read_text())
    assert rows["instances"][0].keys() >= {"image_bytes", "seed", "temperature"}


def batching_parameters() -> Any:
    """Return an empty BatchingParameters, a message that tensorflow-serving-api lacks.

    As in tensorflow_serving/servables/tensorflow/session_bundle_config.proto.
    """
    Field = descriptor_pb2.FieldDescriptorProto
    package = wrappers_pb2.DESCRIPTOR.package
    fields = [
        ("max_batch_size", Field.TYPE_MESSAGE, Field.LABEL_OPTIONAL),
        ("batch_timeout_micros", Field.TYPE_MESSAGE, Field.LABEL_OPTIONAL),
        ("max_enqueued_batches", Field.TYPE_MESSAGE, Field.LABEL_OPTIONAL),
        ("num_batch_threads", Field.TYPE_MESSAGE, Field.LABEL_OPTIONAL),
        ("thread_pool_name", Field.TYPE_STRING, Field.LABEL_OPTIONAL),
        ("allowed_batch_sizes", Field.TYPE_INT64, Field.LABEL_REPEATED),
        ("pad_variable_length_inputs", Field.TYPE_BOOL, Field.LABEL_OPTIONAL),
    ]
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="tensorflow.serving", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, (name, kind, label) in enumerate(fields, 1):
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if kind == Field.TYPE_MESSAGE:
            field.type_name = f".{package}.Int64Value"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters")
    return message_factory.GetMessageClass(found)()


def test_the_model_card_has_the_facts(captioner_folder: Path) -> None:
    card = (captioner_folder / "README.md").read_text(encoding="utf-8")
    for fact in (
        "image-captioning",
        "synthetic-scenes, split `train`, seed 1",
        "drawn by Wordreel",
        "`python train.py --seed 1`",
        f"tensorflow {tf.__version__}",
        "| test | 71.0 |",
        "`test`: `tok:x|items:5`",
        "`image_bytes` string [batch]",
        "80 million pixels",
    ):
        assert fact in card


@pytest.mark.parametrize(
    "data",
    ["synthetic-scenes", "synthetic-reviews", "synthetic-clips", "synthetic-pairs", "digits"],
)
def test_the_license_of_included_data_is_recorded(data: str) -> None:
    assert license_of(data) != license_of("of somebody else")


def test_changed_files_fail_their_checks(
    captioner_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = tmp_path / "1"
    shutil.copytree(captioner_folder / "1", version)
    words = version / "assets" / "vocabulary.txt"
    words.write_text(words.read_text(encoding="utf-8").replace("dog", "cat"), encoding="utf-8")
    golden = version / "assets.extra" / "golden_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(golden))
    ]
    logs[0].predict_log.response.outputs["caption"].string_val[0] = b"something else"
    with tf.io.TFRecordWriter(str(golden)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    warm_up = version / "assets.extra" / "tf_serving_warmup_requests"
    warm_up.write_bytes(warm_up.read_bytes()[:1000])
    assert run(["verify-export", str(version)]) == 1
    lines = capsys.readouterr().out.splitlines()
    wrong = {line[2:].partition(":")[0] for line in lines if line.startswith("✗")}
    assert wrong == {
        "files unchanged since the export",
        "vocabulary matches the model",
        "outputs as recorded at export",
        "outputs independent of the batch",
        "outputs independent of invalid rows",
        "warm-up requests valid",
    }
    assert "✓ standard operations only" in lines
    assert "✓ runs without Keras and Wordreel" in lines
    assert any("something else" in line for line in lines)


@pytest.mark.parametrize(
    ("damage", "check", "problem"),
    [
        ("operation", "standard operations only", "custom operations: ['CustomSoftmax']"),
        (
            "variables",
            "files unchanged since the export",
            "variables.data-00000-of-00001",
        ),
        ("golden", "outputs as recorded at export", "assets.extra/golden_requests is damaged"),
    ],
)
def test_a_damaged_export_fails_with_the_cause(
    captioner_folder: Path, tmp_path: Path, damage: str, check: str, problem: str
) -> None:
    version = tmp_path / "1"
    shutil.copytree(captioner_folder / "1", version)
    if damage == "operation":
        path = version / "saved_model.pb"
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        functions = saved.meta_graphs[0].graph_def.library.function
        nodes = [node for each in functions for node in each.node_def if node.op == "Softmax"]
        for node in nodes:
            node.op = "CustomSoftmax"
        path.write_bytes(saved.SerializeToString())
    else:
        files = {"variables": "variables/variables.data-00000-of-00001"}
        path = version / files.get(damage, "assets.extra/golden_requests")
        path.write_bytes(path.read_bytes()[:-100])
    found = dict(verify(version))
    assert problem in str(found[check])
    assert all(each is None or "\n" not in each for each in found.values())


def test_an_export_that_fails_a_check_is_not_published(tmp_path: Path) -> None:
    """The output of a row depends on the batch size."""
    (tmp_path / "export" / "7").mkdir(parents=True)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def label_with_batch_size(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "label": tf.strings.as_string(tf.ones_like(tf.strings.length(text)) * tf.size(text))
        }

    model: Any = SimpleNamespace(weights=[])
    source: Any = SimpleNamespace(description=dict)
    functions = {"serving_default": label_with_batch_size}
    with pytest.raises(UserError, match=r"not published.*: outputs independent of the batch: "):
        write_export(tmp_path / "export", model, source, functions, {}, {})
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["7"]


def test_versions_are_found_as_servers_find_them(tmp_path: Path) -> None:
    for name in ("1", "10", "9", ".tmp", "latest", "11"):
        (tmp_path / "run" / "export" / name).mkdir(parents=True)
        if name != "11":  # incomplete
            (tmp_path / "run" / "export" / name / "saved_model.pb").touch()
    folder = tmp_path / "run" / "export"
    assert sorted(versions(folder)) == [1, 9, 10]
    assert model_folder(tmp_path / "run") == model_folder(folder) == folder
    assert find_version(tmp_path / "run") == folder / "10"
    assert find_version(folder / "9") == folder / "9"
    assert model_name(folder) == "run"
    assert model_name(tmp_path / "my model!") == "my-model"
    assert versions(tmp_path / "nowhere") == {}
