"""Check an export in a separate process: `python -I -S isolated_check.py FOLDER PATH…`.

It imports TensorFlow, its Serving protos and NumPy from the PATHs, and blocks Keras and Wordreel.
Prints a JSON list of [check, problem or null].
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FORBIDDEN = {"keras", "tf_keras", "data", "models", "pipelines", "train"}
TOLERANCE = 1e-4
HTML = b"<!doctype html><title>404</title>"


class Export:
    """An export and its checks; each fails with an AssertionError that states the problem."""

    def __init__(self, folder: Path) -> None:
        import numpy
        import tensorflow
        from tensorflow.core.protobuf import saved_model_pb2
        from tensorflow_serving.apis import prediction_log_pb2

        self.np, self.tf, self.folder = numpy, tensorflow, folder
        self._log, self._saved = prediction_log_pb2.PredictionLog, saved_model_pb2.SavedModel
        text = (folder / "assets.extra" / "wordreel.json").read_text(encoding="utf-8")
        self.info = json.loads(text)

    @functools.cached_property
    def loaded(self) -> Any:
        """The model; loaded lazily, since some checks need the files only and loading may fail."""
        return self.tf.saved_model.load(str(self.folder))

    def logs(self, name: str) -> Iterator[Any]:
        """Yield the PredictLogs of a file in assets.extra."""
        records = self.tf.data.TFRecordDataset(str(self.folder / "assets.extra" / name))
        try:
            encoded = [record.numpy() for record in records]
        except self.tf.errors.OpError:
            raise AssertionError(f"assets.extra/{name} is damaged or missing") from None
        for each in encoded:
            log = self._log.FromString(each)
            assert log.WhichOneof("log_type") == "predict_log", f"{name} holds no PredictLog"
            yield log.predict_log

    def golden(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], int]]:
        """Yield signature, inputs, outputs and rows of each recorded request."""
        for log in self.logs("golden_requests"):
            outputs = self.arrays(log.response.outputs)
            rows = len(next(iter(outputs.values())))
            name = log.request.model_spec.signature_name
            yield name, self.arrays(log.request.inputs), outputs, rows

    def arrays(self, protos: Mapping[str, Any]) -> dict[str, Any]:
        """Return TensorProtos as arrays."""
        return {name: self.tf.make_ndarray(proto) for name, proto in protos.items()}

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return a signature's outputs as arrays."""
        function = self.loaded.signatures[signature]
        specs = function.structured_input_signature[1]
        given = {name: self.tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in function(**given).items()}

    def compare(self, what: str, got: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        """Fail unless texts and integers are equal, and floats to 1e-4.

        A longer row in the batch pads the floats of the others, with zeros.
        """
        np = self.np
        assert got.keys() == expected.keys(), f"{what}: outputs {[*got]}, recorded {[*expected]}"
        for name, value in got.items():
            other = expected[name]
            if value.dtype.kind == "f" and value.ndim == other.ndim:
                value, other = self._pad_to_match(value, other)
            assert value.shape == other.shape, f"{what}: {name} has shape {value.shape}"
            if value.dtype.kind == "f":
                same = np.isclose(value, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
            else:
                same = value == other
            if not np.all(same):
                at = tuple(int(i) for i in np.argwhere(~np.asarray(same))[0])
                wrong = f"{value[at]!r}, not {other[at]!r}"
                raise AssertionError(f"{what}: {name}{list(at)} is {wrong}")

    def _pad_to_match(self, one: Any, two: Any) -> list[Any]:
        """Pad both with zeros to the larger of their shapes, except for the rows."""
        sides = [0, *map(max, one.shape[1:], two.shape[1:])]
        return [
            self.np.pad(
                x, [(0, max(0, to - size)) for to, size in zip(sides, x.shape, strict=True)]
            )
            for x in (one, two)
        ]

    def check_files(self) -> None:
        """Every file is as written at export."""
        digests = self.info["sha256"]
        for name, digest in digests.items():
            found = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            assert found == digest, f"{name} was changed"
        files = (path for path in self.folder.rglob("*") if path.is_file())
        here = {str(path.relative_to(self.folder)) for path in files}
        unexpected = here - digests.keys() - {"assets.extra/wordreel.json"}
        assert not unexpected, f"unknown files: {sorted(unexpected)}"

    def check_vocabulary(self) -> None:
        """The input and output vocabularies are those of the model."""
        for info, name in (
            (self.info, "vocabulary.txt"),
            (self.info.get("input", {}), "source-vocabulary.txt"),
        ):
            if "vocabulary" in info:
                words = (self.folder / "assets" / name).read_text(encoding="utf-8")
                found = hashlib.sha256(words.removesuffix("\n").encode()).hexdigest()[:16]
                expected = info["vocabulary"]["hash"]
                assert found == expected, f"{name}: its hash is {found}, the model's {expected}"

    def check_ops(self) -> None:
        """The graph needs only ops that every TensorFlow server has."""
        message = self._saved.FromString((self.folder / "saved_model.pb").read_bytes())
        graph = message.meta_graphs[0].graph_def
        nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
        own = {each.signature.name for each in graph.library.function}
        unexpected = {node.op for node in nodes} - own - set(dir(self.tf.raw_ops))
        unexpected |= {node.op for node in nodes if "PyFunc" in node.op}
        assert not unexpected, f"custom operations: {sorted(unexpected)}"

    def check_golden(self) -> None:
        """Recorded requests get the outputs that the model had before it was exported."""
        covered = set()
        for name, inputs, outputs, _ in self.golden():
            covered.add(name)
            self.compare(name, self.predict(name, inputs), outputs)
        present = set(self.loaded.signatures)
        assert covered == present, f"recorded {sorted(covered)}, signatures {sorted(present)}"

    def check_batches(self) -> None:
        """The outputs of a row are the same in batches of all sizes."""
        for name, inputs, outputs, rows in self.golden():
            for size in range(1, rows + 1):
                part = slice(rows - size, rows)
                got = self.predict(name, _take(inputs, part))
                self.compare(f"{name}, {size} rows", got, _take(outputs, part))

    def check_isolation(self) -> None:
        """The outputs of a row are the same next to invalid rows."""
        for name, inputs, outputs, rows in self.golden():
            texts = [key for key, value in inputs.items() if value.dtype == object and value.ndim]
            for key in texts:
                bad = self._broken(key, inputs[key][:1])
                mixed = _take(inputs, [0, *[-1] * len(bad), *range(1, rows)])
                mixed[key][1 : 1 + len(bad)] = bad
                got = self.predict(name, mixed)
                sound = [0, *range(1 + len(bad), rows + len(bad))]
                what = f"{name} next to invalid rows"
                self.compare(what, _take(got, sound), outputs)
                if "valid" in got and key.endswith("_bytes"):
                    valid = got["valid"][1 : 1 + len(bad)]
                    assert not valid.any(), f"{name}: invalid rows are flagged as valid: {valid}"

    def check_warm_up(self) -> None:
        """Every signature has warm-up requests for the smallest and the largest batch."""
        sizes: dict[str, set[int]] = {}
        logs = list(self.logs("tf_serving_warmup_requests"))
        assert len(logs) <= 1000, f"{len(logs):,} requests; servers accept 1,000"
        for log in logs:
            name = log.request.model_spec.signature_name
            outputs = self.predict(name, self.arrays(log.request.inputs))
            sizes.setdefault(name, set()).add(len(next(iter(outputs.values()))))
        wanted = {name: {1, self.info["largest_batch"]} for name in self.loaded.signatures}
        assert sizes == wanted, f"batch sizes are {sizes}, not {wanted}"

    def check_imports(self) -> None:
        """No forbidden package was imported."""
        imported = (name for name, module in sys.modules.items() if module is not None)
        found = FORBIDDEN & {name.partition(".")[0] for name in imported}
        assert not found, f"imported: {sorted(found)}"

    def _broken(self, name: str, row: Any) -> Any:
        """Return invalid rows in the shape of a valid one, `[1, ...]`."""
        whole = row.ravel()[0]
        images = [b"", HTML, whole[: len(whole) // 2]]
        bad = images if name.endswith("_bytes") else [b"", b"\xff\xfe\0"]
        return self.np.concatenate([self.np.full(row.shape, value, object) for value in bad])


CHECKS = {
    "files unchanged since the export": Export.check_files,
    "vocabulary matches the model": Export.check_vocabulary,
    "standard operations only": Export.check_ops,
    "outputs as recorded at export": Export.check_golden,
    "outputs independent of the batch": Export.check_batches,
    "outputs independent of invalid rows": Export.check_isolation,
    "warm-up requests valid": Export.check_warm_up,
    "runs without Keras and Wordreel": Export.check_imports,
}


def _take(arrays: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """Return some rows of each array; scalars are kept."""
    return {name: value[rows] if value.ndim else value for name, value in arrays.items()}


def main(folder: str, *paths: str) -> None:
    """Run all checks and print the results."""
    sys.modules.update(dict.fromkeys(FORBIDDEN))  # type: ignore[arg-type]  # blocks their import
    sys.path += paths
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    export = Export(Path(folder))
    results: list[tuple[str, str | None]] = []
    for title, check in CHECKS.items():
        try:
            check(export)
        except Exception as error:
            what = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            # TensorFlow's messages begin with the node and have many lines.
            results.append((title, what + re.sub(r"\{\{.*?\}\} ?", "", str(error)).split("\n")[0]))
        else:
            results.append((title, None))
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
