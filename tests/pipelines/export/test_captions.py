"""Exports have the model's own outputs, without the project and without Keras."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from data.common.errors import UserError
from data.media.vocabulary import Vocabulary
from models.search.beam_search import beam_search
from models.search.hypotheses import Hypotheses
from models.search.sampling import greedy
from pipelines.export.captions import SIGNATURES, export
from pipelines.export.version import SCRATCH
from pipelines.preprocessing.images import decode_image
from tests.support.tiny.captioner import (
    GRID,
    OPTIONS,
    SIZE,
    SOURCE,
    VOCABULARY,
    encode,
    smooth_image,
    tiny_captioner,
)
from tests.support.unverified_exports import unverified_exports

CELLS = ("show-attend-tell", "show-tell")
IMAGES = [
    encode(smooth_image(0)),
    b"not an image",
    encode(smooth_image(1, 90, 30), "PNG"),
    encode(smooth_image(2, 20, 70), "GIF"),
    b"",
    encode(smooth_image(3, 33, 32), "BMP"),
    encode(smooth_image(4, mode="L"), progressive=True),
]
VALID = [True, False, True, True, False, True, True]
SAMPLING = {"temperature": 1.0, "top_p": 0.9, "top_k": 0, "seed": 7}

# Uses TensorFlow only, in another folder. TensorFlow imports Keras unless it is configured for the
# older version, which is not installed.
ISOLATED_SCRIPT = """
import sys
import numpy as np
import tensorflow as tf

images = list(np.load("images.npy", allow_pickle=True))
for cell in sys.argv[1:]:
    loaded = tf.saved_model.load(cell + "/1")
    for name in ("serving_default", "greedy"):
        outputs = loaded.signatures[name](image_bytes=tf.constant(images))
        np.savez(f"{cell}-{name}.npz", **{key: value.numpy() for key, value in outputs.items()})
forbidden = {"keras", "data", "models", "pipelines"}
assert not forbidden & {name.split(".")[0] for name in sys.modules}
"""


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {cell: tiny_captioner(cell) for cell in CELLS}


@pytest.fixture(scope="module")
def exports(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    with unverified_exports():
        for cell, model in models.items():
            written = export(model, SOURCE, VOCABULARY, OPTIONS, folder / cell, {"note": "été"})
            assert written == folder / cell / "1"
    return folder


@pytest.fixture(scope="module")
def answers(exports: Path) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Return the outputs in a separate process, by cell and signature."""
    np.save(exports / "images.npy", np.array(IMAGES, object))
    (exports / "isolated.py").write_text(ISOLATED_SCRIPT, encoding="utf-8")
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run(
        [sys.executable, "-I", "isolated.py", *CELLS], cwd=exports, env=environment, check=True
    )
    names = [(cell, name) for cell in CELLS for name in ("serving_default", "greedy")]
    return {
        (cell, name): dict(np.load(exports / f"{cell}-{name}.npz", allow_pickle=True))
        for cell, name in names
    }


@pytest.fixture(scope="module")
def signatures(exports: Path) -> Any:
    loaded = tf.saved_model.load(str(exports / CELLS[0] / "1"))
    return {name: _held(loaded, name) for name in SIGNATURES}


def _held(loaded: Any, name: str) -> Any:
    """Return a signature that keeps its model alive."""

    def call(images: list[bytes], **scalars: float) -> dict[str, np.ndarray]:
        signature = loaded.signatures[name]
        kinds = {spec.name: spec.dtype for spec in signature.structured_input_signature[1].values()}
        given = {key: tf.constant([value], kinds[key]) for key, value in scalars.items()}
        outputs = signature(image_bytes=tf.constant(images, tf.string), **given)
        return {key: value.numpy() for key, value in outputs.items()}

    return call


def in_python(model: Any, search: Any) -> Hypotheses:
    """Decode the valid images with the model in Python."""
    sound = [each for each, valid in zip(IMAGES, VALID, strict=True) if valid]
    pixels = tf.stack([decode_image(tf.constant(each), SIZE) for each in sound])
    step, state, cache = model.head.prepare_search(model.encode(pixels))
    return Hypotheses(*(part.numpy() for part in search(step, state, cache, len(sound), OPTIONS)))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("signature", "search"), [("serving_default", beam_search), ("greedy", greedy)]
)
def test_an_isolated_process_gets_the_outputs_of_the_python_search(
    models: Any, answers: Any, cell: str, signature: str, search: Any
) -> None:
    answer, expected = answers[cell, signature], in_python(models[cell], search)
    assert answer["valid"].tolist() == VALID
    rows = np.flatnonzero(VALID)
    np.testing.assert_array_equal(answer["tokens"][rows], expected.tokens)
    np.testing.assert_allclose(answer["scores"][rows], expected.scores, atol=1e-4)
    np.testing.assert_allclose(answer["attention"][rows], expected.attention, atol=1e-4)
    words = [[VOCABULARY.decode(tokens) for tokens in row] for row in expected.tokens.tolist()]
    captions = np.char.decode(answer["captions"].astype(bytes), "utf-8")
    assert captions[rows].tolist() == words
    assert answer["caption"].tolist() == answer["captions"][:, 0].tolist()
    np.testing.assert_array_equal(answer["score"], answer["scores"][:, 0])


def test_the_fixture_has_distinct_captions(answers: Any) -> None:
    captions = answers[CELLS[0], "serving_default"]["captions"]
    assert len(set(captions.ravel().tolist())) > 6


@pytest.mark.parametrize("cell", CELLS)
def test_an_invalid_row_is_empty(answers: Any, cell: str) -> None:
    answer = answers[cell, "serving_default"]
    rows = np.flatnonzero(~np.array(VALID))
    assert set(answer["captions"][rows].ravel().tolist()) == {b""}
    for name in ("score", "scores", "tokens", "attention"):
        assert not answer[name][rows].any()


def test_outputs_are_independent_of_the_batch(signatures: Any) -> None:
    together = signatures["serving_default"](IMAGES)
    for row, each in enumerate(IMAGES):
        alone = signatures["serving_default"]([each])
        assert alone["captions"][0].tolist() == together["captions"][row].tolist()
        np.testing.assert_allclose(alone["scores"][0], together["scores"][row], atol=1e-4)


@pytest.mark.parametrize("name", SIGNATURES)
def test_an_empty_batch_has_empty_outputs(signatures: Any, name: str) -> None:
    scalars = SAMPLING if name == "sample" else {}
    outputs = signatures[name]([], **scalars)
    assert {len(output) for output in outputs.values()} == {0}


def test_each_row_is_sampled_with_its_own_settings(exports: Path) -> None:
    sample = tf.saved_model.load(str(exports / CELLS[0] / "1")).signatures["sample"]
    seeds = np.arange(len(IMAGES))

    def predict(rows: list[int]) -> Any:
        count = len(rows)
        outputs = sample(
            image_bytes=tf.constant([IMAGES[row] for row in rows]),
            seed=tf.constant(seeds[rows]),
            temperature=tf.constant([2.0] * count),
            top_p=tf.constant([0.9] * count),
            top_k=tf.constant([0, 1, 2][:count] + [5] * (count - 3)),
        )
        return outputs["tokens"].numpy()

    together = predict(list(range(len(IMAGES))))
    np.testing.assert_array_equal(predict([0])[0], together[0])
    np.testing.assert_array_equal(predict([0, 2, 2, 5])[3], together[5])
    assert (together[0] != together[6]).any()


def test_sampling_obeys_its_settings(signatures: Any) -> None:
    first = signatures["sample"](IMAGES, **SAMPLING)
    again = signatures["sample"](IMAGES, **SAMPLING)
    other = signatures["sample"](IMAGES, **{**SAMPLING, "seed": 8})
    narrow = signatures["sample"](IMAGES, **{**SAMPLING, "top_k": 1})
    np.testing.assert_array_equal(first["tokens"], again["tokens"])
    assert (first["tokens"] != other["tokens"]).any()
    greedy_tokens = signatures["greedy"](IMAGES)["tokens"]
    np.testing.assert_array_equal(
        narrow["tokens"], np.repeat(greedy_tokens, OPTIONS.n_best, axis=1)
    )


def test_the_graph_has_only_standard_ops(exports: Path) -> None:
    graph = _saved(exports).graph_def
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    ops = {node.op for node in nodes}
    known = {name for name in dir(tf.raw_ops) if not name.startswith("_")}
    functions = {each.signature.name for each in graph.library.function}
    assert ops - functions <= known
    assert not {op for op in ops if "PyFunc" in op or "Table" in op or "Xla" in op}


def test_signatures_have_names_and_defaults_for_servers(exports: Path) -> None:
    signature = _saved(exports).signature_def
    assert {"serving_default", "greedy", "sample"} <= set(signature)
    for name in SIGNATURES:
        assert "image_bytes" in signature[name].inputs
        # TensorFlow Serving encodes outputs with such names in base64.
        assert not [output for output in signature[name].outputs if output.endswith("_bytes")]
    assert set(signature["sample"].defaults) == set(SAMPLING)


def _saved(exports: Path) -> Any:
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((exports / CELLS[0] / "1" / "saved_model.pb").read_bytes())
    return message.meta_graphs[0]


def test_wordreel_json_describes_the_export(exports: Path) -> None:
    folder = exports / CELLS[0] / "1"
    text = (folder / "assets.extra" / "wordreel.json").read_text(encoding="utf-8")
    description = json.loads(text)
    assert description["input"]["grid"] == GRID
    assert description["input"]["image_size"] == SIZE
    assert description["search"]["beams"] == OPTIONS.beams
    assert description["note"] == "été"
    assert description["versions"]["tensorflow"] == tf.__version__
    assert Vocabulary.load(folder / "assets" / "vocabulary.txt").hash == VOCABULARY.hash
    assert description["vocabulary"]["hash"] == VOCABULARY.hash


def test_a_later_export_is_the_next_version_with_current_weights(
    models: Any, exports: Path, tmp_path: Path
) -> None:
    model = tiny_captioner("show-tell")
    (tmp_path / "9").mkdir()
    model.head.bias.assign(np.where(np.arange(len(VOCABULARY)) == 4, 99.0, 0.0))
    with unverified_exports():
        written = export(model, SOURCE, VOCABULARY, OPTIONS, tmp_path, {})
    assert written == tmp_path / "10"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ["10", "9"]
    assert not list(tmp_path.glob(".*"))  # no temporary files
    found = tf.saved_model.load(str(written)).signatures["greedy"](tf.constant(IMAGES[:1]))
    assert found["caption"].numpy()[0] == b" ".join([b"a"] * OPTIONS.max_words)


def test_a_vocabulary_of_another_size_is_refused(models: Any, tmp_path: Path) -> None:
    shorter = Vocabulary(VOCABULARY.words[:-1])
    with pytest.raises(UserError, match=rf"14 words, the vocabulary 13 \(hash {shorter.hash}"):
        export(models[CELLS[0]], SOURCE, shorter, OPTIONS, tmp_path, {})


def test_a_full_disk_leaves_no_version(models: Any, tmp_path: Path) -> None:
    (tmp_path / f"{SCRATCH}x7" / "export").mkdir(parents=True)  # of a process that was killed
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(UserError, match="cannot write the export to"):
            export(models["show-tell"], SOURCE, VOCABULARY, OPTIONS, tmp_path, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_created_is_named(models: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write the export to .*file"):
        export(models["show-tell"], SOURCE, VOCABULARY, OPTIONS, tmp_path / "file", {})
