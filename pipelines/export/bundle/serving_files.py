"""The files next to the versions of an export with which TensorFlow Serving serves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from data.common.files import atomic_write
from pipelines.export.bundle.model_card import model_card
from pipelines.export.bundle.sample_requests import (
    LARGEST_BATCH,
    read_signatures,
    request_bodies,
    sample_inputs,
)
from pipelines.export.layout import model_name, read_info

BATCH_SIZES = [2**power for power in range(LARGEST_BATCH.bit_length())]
DELAY = 2_000  # microseconds that a request waits for others to form a batch
QUEUE = 64  # batches that may wait; more are refused

_MODELS = """\
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""

_BATCHING = """\
max_batch_size {{ value: {largest} }}
batch_timeout_micros {{ value: {delay} }}
max_enqueued_batches {{ value: {queue} }}
num_batch_threads {{ value: 2 }}
{padding}{sizes}
"""

_COMPOSE = """\
# docker compose up: TensorFlow Serving on this machine only, REST on port 8501, gRPC on 8500.
services:
  serving:
    image: tensorflow/serving:{tensorflow}
    entrypoint: ["tensorflow_model_server"]
    command:
      - --port=8500
      - --rest_api_port=8501
      - --model_config_file=/models/{name}/models.config
      - --model_config_file_poll_wait_seconds=0
      - --enable_batching=true
      - --batching_parameters_file=/models/{name}/batching_parameters.txt
    ports:
      - "127.0.0.1:8500:8500"
      - "127.0.0.1:8501:8501"
    volumes:
      - .:/models/{name}:ro
    restart: unless-stopped
"""


def write_serving_files(version: Path) -> None:
    """Write the files that describe the newest version into its parent, the folder of versions.

    models.config, batching_parameters.txt and compose.yaml for TensorFlow Serving; requests/, a
    sample request of each signature in both forms of its REST API; README.md, the model card.
    """
    signatures = read_signatures(version)
    folder = version.parent
    name = model_name(folder)
    sizes = "\n".join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)
    texts = {
        "models.config": _MODELS.format(name=name),
        "batching_parameters.txt": _BATCHING.format(
            largest=LARGEST_BATCH,
            delay=DELAY,
            queue=QUEUE,
            padding="pad_variable_length_inputs: true\n" if _has_open_side(signatures) else "",
            sizes=sizes,
        ),
        "compose.yaml": _COMPOSE.format(name=name, tensorflow=tf.__version__),
        "README.md": model_card(name, version.name, read_info(version), signatures),
    }
    for signature, definition in signatures.items():
        for form, request in request_bodies(sample_inputs(definition, version, 2)).items():
            body = {"signature_name": signature, **request}
            text = json.dumps(body, ensure_ascii=False, indent=2) + "\n"
            texts[f"requests/{signature}-{form}.json"] = text
    for path, text in texts.items():
        with atomic_write(folder / path) as file:
            file.write(text)


def _has_open_side(signatures: Mapping[str, Any]) -> bool:
    """Return whether rows of a request may differ in length, as clips do; "" pads them."""
    specs = (spec for signature in signatures.values() for spec in signature.inputs.values())
    return any(side.size < 0 for spec in specs for side in spec.tensor_shape.dim[1:])
