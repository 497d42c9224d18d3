"""The cluster of a process, read from `TF_CONFIG` without TensorFlow.

>>> read('{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 1}}')
Cluster(workers=2, chief=False)
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from data.common.errors import UserError


class Cluster(NamedTuple):
    """The number of workers, and whether this process is the chief, which writes files."""

    workers: int
    chief: bool


def read(text: str | None = None) -> Cluster:
    """Return the cluster in `TF_CONFIG`; without it, one worker.

    Raises:
        UserError: if it is not JSON with a cluster of workers and a task in it.
    """
    text = os.environ.get("TF_CONFIG", "") if text is None else text
    if not text.strip():
        return Cluster(1, True)
    try:
        config = json.loads(text)
        cluster, kind, number = config["cluster"], config["task"]["type"], config["task"]["index"]
        cluster[kind][number]
        workers = len(cluster.get("chief", ())) + len(cluster["worker"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            "TF_CONFIG must be JSON like "
            '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
            f", not {text!r:.200} ({type(error).__name__}: {error})"
        ) from None
    return Cluster(workers, kind == "chief" or ("chief" not in cluster and number == 0))
