"""The cluster that a process belongs to, as `TF_CONFIG` says: read without TensorFlow.

>>> read('{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 1}}')
Cluster(workers=2, chief=False)
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from data.common.errors import UserError


class Cluster(NamedTuple):
    """How many workers train together, and whether this process is the one that writes."""

    workers: int
    chief: bool


def read(text: str | None = None) -> Cluster:
    """Return what `TF_CONFIG` says; without it a process is alone.

    Raises:
        UserError: if it is not JSON with a cluster of workers and a task that is one of them.
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
            "TF_CONFIG is JSON like "
            '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
            f", not {text!r:.200} ({type(error).__name__}: {error})"
        ) from None
    return Cluster(workers, kind == "chief" or ("chief" not in cluster and number == 0))
