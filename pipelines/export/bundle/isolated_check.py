"""Check an export as a stranger does: `python -I -S replay.py FOLDER PATH…`, in a fresh process.

It imports TensorFlow, its Serving protos and NumPy from the PATHs, and refuses Keras and Wordreel.
Prints a JSON list of [what was checked, what is wrong or null].
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

STRANGERS = {"keras", "tf_keras", "data", "models", "pipelines", "train"}
TOLERANCE = 1e-4
HTML = b"<!doctype html><title>404</title>"


class Refusal:
    """Finds what an export must not need, to refuse to import it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return something that can be found but not imported."""
        return ModuleSpec(name, self) if name.partition(".")[0] in STRANGERS else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Refuse."""
        raise ImportError(f"an export must not need {spec.name}")

    def exec_module(self, module: Any) -> None:
        """Stand here because an importer has it."""


class Export:
    """An export and what must hold of it; each check fails with an AssertionError that says why."""

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
        """The model; not needed to look at the files, and maybe spoilt."""
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

    def ask(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return a signature's outputs as arrays."""
        function = self.loaded.signatures[signature]
        kinds = function.structured_input_signature[1]
        given = {name: self.tf.constant(value, kinds[name].dtype) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in function(**given).items()}

    def compare(self, what: str, got: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        """Fail unless texts and whole numbers are equal, and others to 1e-4.

        A longer row beside it makes room in another's numbers, which has to be zero.
        """
        np = self.np
        assert got.keys() == expected.keys(), f"{what}: outputs {[*got]}, recorded {[*expected]}"
        for name, value in got.items():
            other = expected[name]
            if value.dtype.kind == "f" and value.ndim == other.ndim:
                value, other = self._alike(value, other)
            assert value.shape == other.shape, f"{what}: {name} has shape {value.shape}"
            if value.dtype.kind == "f":
                same = np.isclose(value, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
            else:
                same = value == other
            if not np.all(same):
                at = tuple(int(i) for i in np.argwhere(~np.asarray(same))[0])
                wrong = f"{value[at]!r}, not {other[at]!r}"
                raise AssertionError(f"{what}: {name}{list(at)} is {wrong}")

    def _alike(self, one: Any, two: Any) -> list[Any]:
        """Fill up both with zeros to the larger of their shapes, but for the rows."""
        most = [0, *map(max, one.shape[1:], two.shape[1:])]
        return [
            self.np.pad(x, [(0, max(0, to - size)) for to, size in zip(most, x.shape, strict=True)])
            for x in (one, two)
        ]

    def check_files(self) -> None:
        """Every file is the one that was written at export."""
        digests = self.info["sha256"]
        for name, digest in digests.items():
            found = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            assert found == digest, f"{name} was changed"
        files = (path for path in self.folder.rglob("*") if path.is_file())
        here = {str(path.relative_to(self.folder)) for path in files}
        strange = here - digests.keys() - {"assets.extra/wordreel.json"}
        assert not strange, f"not recorded: {sorted(strange)}"

    def check_vocabulary(self) -> None:
        """The words are those of the model, read or said."""
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
        """The graph needs nothing that a stock server lacks."""
        message = self._saved.FromString((self.folder / "saved_model.pb").read_bytes())
        graph = message.meta_graphs[0].graph_def
        nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
        own = {each.signature.name for each in graph.library.function}
        strange = {node.op for node in nodes} - own - set(dir(self.tf.raw_ops))
        strange |= {node.op for node in nodes if "PyFunc" in node.op}
        assert not strange, f"not stock: {sorted(strange)}"

    def check_golden(self) -> None:
        """Recorded requests are answered as the model did that was exported."""
        asked = set()
        for name, inputs, outputs, _ in self.golden():
            asked.add(name)
            self.compare(name, self.ask(name, inputs), outputs)
        there = set(self.loaded.signatures)
        assert asked == there, f"recorded are {sorted(asked)}, there {sorted(there)}"

    def check_batches(self) -> None:
        """A row is answered alike in batches of all sizes."""
        for name, inputs, outputs, rows in self.golden():
            for size in range(1, rows + 1):
                part = slice(rows - size, rows)
                got = self.ask(name, _take(inputs, part))
                self.compare(f"{name}, {size} rows", got, _take(outputs, part))

    def check_isolation(self) -> None:
        """Rows beside those that cannot be read are answered as ever."""
        for name, inputs, outputs, rows in self.golden():
            texts = [key for key, value in inputs.items() if value.dtype == object and value.ndim]
            for key in texts:
                bad = self._broken(key, inputs[key][:1])
                mixed = _take(inputs, [0, *[-1] * len(bad), *range(1, rows)])
                mixed[key][1 : 1 + len(bad)] = bad
                got = self.ask(name, mixed)
                sound = [0, *range(1 + len(bad), rows + len(bad))]
                what = f"{name} beside rows that cannot be read"
                self.compare(what, _take(got, sound), outputs)
                if "valid" in got and key.endswith("_bytes"):
                    valid = got["valid"][1 : 1 + len(bad)]
                    assert not valid.any(), f"{name}: broken rows are called valid: {valid}"

    def check_warm_up(self) -> None:
        """Every signature is warmed up, in the smallest and the largest batch."""
        sizes: dict[str, set[int]] = {}
        logs = list(self.logs("tf_serving_warmup_requests"))
        assert len(logs) <= 1000, f"{len(logs):,} requests; servers take 1,000"
        for log in logs:
            name = log.request.model_spec.signature_name
            outputs = self.ask(name, self.arrays(log.request.inputs))
            sizes.setdefault(name, set()).add(len(next(iter(outputs.values()))))
        wanted = {name: {1, self.info["largest_batch"]} for name in self.loaded.signatures}
        assert sizes == wanted, f"batch sizes are {sizes}, not {wanted}"

    def check_alone(self) -> None:
        """Nothing was imported that a stranger has not."""
        found = STRANGERS & {name.partition(".")[0] for name in sys.modules}
        assert not found, f"imported: {sorted(found)}"

    def _broken(self, name: str, row: Any) -> Any:
        """Return rows that no model can read, in the shape of one of its own, `[1, ...]`."""
        whole = row.ravel()[0]
        pictures = [b"", HTML, whole[: len(whole) // 2]]
        bad = pictures if name.endswith("_bytes") else [b"", b"\xff\xfe\0"]
        return self.np.concatenate([self.np.full(row.shape, value, object) for value in bad])


CHECKS = {
    "the files are those that were exported": Export.check_files,
    "the vocabulary is the model's": Export.check_vocabulary,
    "stock operations only": Export.check_ops,
    "answers as recorded at export": Export.check_golden,
    "a row does not depend on its batch": Export.check_batches,
    "what cannot be read hurts no other row": Export.check_isolation,
    "the warm-up requests are readable and answered": Export.check_warm_up,
    "neither Keras nor Wordreel was needed": Export.check_alone,
}


def _take(arrays: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """Return some rows; what is one scalar for all rows stays so."""
    return {name: value[rows] if value.ndim else value for name, value in arrays.items()}


def main(folder: str, *paths: str) -> None:
    """Check all, print what was found."""
    sys.meta_path.insert(0, Refusal())
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
            # TensorFlow begins with the node and goes on for lines.
            results.append((title, what + re.sub(r"\{\{.*?\}\} ?", "", str(error)).split("\n")[0]))
        else:
            results.append((title, None))
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
