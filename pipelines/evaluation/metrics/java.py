"""METEOR and SPICE: the original Java programs, for those who must compare with their figures.

An extra: `pip install -e ".[java-metrics]"` brings pycocoevalcap, which carries METEOR 1.5
(Denkowski & Lavie 2014, English settings, as in coco-caption) and SPICE 1.0 (Anderson et al.
2016). Both want a `java` on the PATH, SPICE that of Java 8: it fails on later ones. When first
called, SPICE downloads Stanford CoreNLP 3.6.0 (some 500 MB); it also wants 8 GB of memory.
Name the version beside the score: METEOR's moves it by ten points.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from data.common.errors import UserError, unknown

JAVA_METRICS: Mapping[str, tuple[str, str]] = {
    "METEOR-1.5": ("pycocoevalcap.meteor.meteor", "Meteor"),
    "SPICE-1.0": ("pycocoevalcap.spice.spice", "Spice"),
}


def java_score(
    name: str, candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> float:
    """Return the corpus score, a fraction.

    Args:
        name: "METEOR-1.5" or "SPICE-1.0".
        candidates: one caption per item id.
        references: the true captions of the same ids.

    Raises:
        UserError: if the name is unknown, pycocoevalcap or Java is absent, or Java fails.
    """
    from pipelines.evaluation.metrics import tokenize

    check_java(name)
    module, scorer = JAVA_METRICS[name]
    truth = {item: [" ".join(tokenize(text)) for text in references[item]] for item in candidates}
    given = {item: [" ".join(tokenize(caption))] for item, caption in candidates.items()}
    try:
        score, _ = getattr(importlib.import_module(module), scorer)().compute_score(truth, given)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise UserError(f"{name} could not be computed: {error}") from error
    return float(score)


def check_java(name: str) -> None:
    """Say what is missing, before any work is done; see `java_score`."""
    if name not in JAVA_METRICS:
        raise unknown("Java metric", name, JAVA_METRICS)
    if shutil.which("java") is None:
        raise UserError(f"{name} runs in Java, and there is no `java` on the PATH; install Java 8")
    if importlib.util.find_spec("pycocoevalcap") is None:
        raise UserError(
            f'{name} needs pycocoevalcap: pip install -c constraints.txt -e ".[java-metrics]"'
        )
