"""METEOR and SPICE from the original Java programs, to compare with published scores.

The extra `pip install -e ".[java-metrics]"` installs pycocoevalcap, which contains METEOR 1.5
(Denkowski & Lavie 2014, English settings, as in coco-caption) and SPICE 1.0 (Anderson et al.
2016). Both need `java` on the PATH; SPICE needs Java 8 and fails on later versions. Its first call
downloads Stanford CoreNLP 3.6.0 (500 MB) and it needs 8 GB of memory. Report the version with the
score: METEOR's versions differ by ten points.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data.common.errors import UserError, unknown


def _meteor() -> Any:
    from pycocoevalcap.meteor.meteor import Meteor

    return Meteor()


def _spice() -> Any:
    from pycocoevalcap.spice.spice import Spice

    return Spice()


JAVA_METRICS: Mapping[str, Callable[[], Any]] = {"METEOR-1.5": _meteor, "SPICE-1.0": _spice}


def java_score(
    name: str, candidates: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> float:
    """Compute the corpus score, 0 to 100.

    Args:
        name: "METEOR-1.5" or "SPICE-1.0".
        candidates: one caption per item id.
        references: the reference captions of the same ids.

    Raises:
        UserError: if the name is unknown, pycocoevalcap or Java is missing, or Java fails.
    """
    from pipelines.evaluation.metrics.tokenizer import tokenize

    check_java(name)
    truth = {item: [" ".join(tokenize(text)) for text in references[item]] for item in candidates}
    given = {item: [" ".join(tokenize(caption))] for item, caption in candidates.items()}
    try:
        score, _ = JAVA_METRICS[name]().compute_score(truth, given)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise UserError(f"{name} could not be computed: {error}") from error
    return 100 * float(score)


def check_java(name: str) -> None:
    """Check what `java_score` needs before any work is done.

    Raises:
        UserError: if the name is unknown, or pycocoevalcap or Java is missing.
    """
    if name not in JAVA_METRICS:
        raise unknown("Java metric", name, JAVA_METRICS)
    if shutil.which("java") is None:
        raise UserError(f"{name} requires Java, and there is no `java` on the PATH: install Java 8")
    if importlib.util.find_spec("pycocoevalcap") is None:
        raise UserError(
            f'{name} needs pycocoevalcap: pip install -c constraints.txt -e ".[java-metrics]"'
        )
