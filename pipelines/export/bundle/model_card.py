"""The model card of an export: facts, scores, signatures, serving, limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from data.media.limits import MAX_PIXELS
from pipelines.export.bundle.sample_requests import LARGEST_BATCH

_NOT_STATED = "not recorded"


def model_card(
    name: str, version: str, info: Mapping[str, Any], signatures: Mapping[str, Any]
) -> str:
    """Return the card as Markdown, from wordreel.json and a SignatureDef a name."""
    config = info.get("config", {})
    facts = [
        ("Task", info.get("task", config.get("task", _NOT_STATED))),
        ("Data", _data(config)),
        ("License of the data", info.get("licence") or _NOT_STATED),
        ("Trained by", f"`{info['command']}`" if info.get("command") else _NOT_STATED),
        ("Versions", ", ".join(f"{key} {value}" for key, value in info["versions"].items())),
    ]
    parts = [
        f"# {name}, version {version}",
        "\n".join(f"- **{key}**: {value}" for key, value in facts),
        "## Scores",
        _scores(info.get("metrics", {})),
        "## Signatures",
        *(_signature(each, definition, info) for each, definition in signatures.items()),
        "## Serve it",
        _serve(name, version, info, signatures),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(info, signatures)),
    ]
    return "\n\n".join(parts) + "\n"


_SERVE = """\
With TensorFlow Serving: `docker compose up` in this folder. For development and demonstrations,
with a web page to try the model: `wordreel serve .`. Then:

```sh
curl -d @requests/serving_default-inputs.json http://127.0.0.1:8501/v1/models/{name}:predict
```

In Python, with TensorFlow only{order}:

```python
import tensorflow as tf

model = tf.saved_model.load("{version}").signatures["serving_default"]
given = tf.constant([{example}])
print(model({given}=given)["{answer}"].numpy())
```

`requests/` has a sample request for each signature, in the row form (`instances`) and the columnar
form (`inputs`). `wordreel verify-export .` verifies this export."""


# By input, what a program passes as one row.
_EXAMPLES = {
    "image_bytes": 'open("image.jpg", "rb").read()',
    "frame_bytes": '[open(name, "rb").read() for name in frames]',
    "text": '"a text"',
}


def _serve(name: str, version: str, info: Mapping[str, Any], signatures: Mapping[str, Any]) -> str:
    """Return how to use the export, by REST and in Python."""
    inputs = signatures["serving_default"].inputs if "serving_default" in signatures else {}
    given = next((each for each in inputs if each in _EXAMPLES), "text")
    labels = " (`probabilities` are in the order of `assets/labels.txt`)"
    return _SERVE.format(
        name=name,
        version=version,
        given=given,
        example=_EXAMPLES[given],
        answer=info.get("answer", "label"),
        order=labels if "labels" in info else "",
    )


def _data(config: Mapping[str, Any]) -> str:
    if "data" not in config:
        return _NOT_STATED
    return f"{config['data']}, split `{config['train_split']}`, seed {config['seed']}"


def _scores(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of the scores of each split and their signatures."""
    if not metrics:
        return "None were recorded."
    others = ("signature", "intervals", "warnings")
    names = [key for key in next(iter(metrics.values())) if key not in others]
    rows = [["split", *names], ["---"] * (1 + len(names))]
    for split, scores in metrics.items():
        intervals = scores.get("intervals", {})
        rows.append([split, *(_score(scores.get(key), intervals.get(key)) for key in names)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    signed = [f"`{split}`: `{scores.get('signature', '')}`" for split, scores in metrics.items()]
    notes = "Scores are on a scale of 0 to 100 (CIDEr: 0 to 1000)."
    if any(scores.get("intervals") for scores in metrics.values()):
        notes += " In brackets: 95 % confidence intervals."
    warnings = [text for scores in metrics.values() for text in scores.get("warnings", ())]
    notes += "".join(f"\n\n{text}" for text in warnings)
    return f"{notes}\n\n{table}\n\nSignatures: " + "; ".join(signed)


def _score(value: object, interval: Sequence[float] | None) -> str:
    """Return a score with its confidence interval, if it has one."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1f}" + (f" [{interval[0]:.1f}, {interval[1]:.1f}]" if interval else "")


def _signature(name: str, signature: Any, info: Mapping[str, Any]) -> str:
    about = info.get("signatures", {}).get(name, "")
    lines = [f"### {name}", *([about] if about else []), ""]
    for way, specs in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        each = [f"`{key}` {_type(specs[key])}" for key in sorted(specs)]
        lines.append(f"- {way}: " + ", ".join(each))
    return "\n".join(lines)


def _type(spec: Any) -> str:
    sides = ["?" if dim.size < 0 else str(dim.size) for dim in spec.tensor_shape.dim]
    if sides and sides[0] == "?":
        sides[0] = "batch"
    return f"{tf.as_dtype(spec.dtype).name} [{', '.join(sides)}]"


def _limits(info: Mapping[str, Any], signatures: Mapping[str, Any]) -> Iterable[str]:
    """Yield the limits of the model."""
    inputs = {name for signature in signatures.values() for name in signature.inputs}
    yield f"Servers batch at most {LARGEST_BATCH} rows."
    if any(name.endswith("_bytes") for name in inputs):
        yield (
            "Images must be JPEG, PNG, GIF (the first frame) or BMP, with up to "
            f"{MAX_PIXELS // 10**6} million pixels; others are flagged as invalid."
        )
    reads, search = info.get("input", {}), info.get("search", {})
    for part, name in ((reads, "input"), (info, "output")):
        if words := part.get("vocabulary"):
            yield f"The {name} vocabulary has {words['size']:,} words and symbols."
    if longest := reads.get("max_words"):
        yield f"Input texts are truncated after {longest} words."
    if longest := search.get("max_words"):
        yield f"Output sentences have at most {longest} words."
    if labels := info.get("labels"):
        yield f"It has {len(labels)} labels and assigns one of them to every input."
    yield "Predictions for inputs unlike the training data are unreliable, however confident."
    yield "It is not intended for judging people or for uses where errors cause harm."
