"""Problems of a source: written to a report, counted, and limited."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from data.annotations.entries import Entry, Problem
from data.common.errors import UserError
from data.common.files import atomic_write

FEW_BAD = 2  # examples that a small set may lose whatever its share


def duplicate_problem(entry: Entry, first: Entry, kind: str) -> Problem | None:
    """Return the problem of an entry with the same content as `first`; None if it is kept."""
    where, same = entry.where, f"is the same {kind}"
    if first.split != entry.split:
        reason = f"in two splits: {first.file} in {first.split} (kept) {same}"
    elif first.label != entry.label:
        reason = f"two labels: {first.file}, {first.label!r} (kept), {same}"
    elif first is entry or entry.captions:
        return None
    else:
        return Problem(entry.file, f"duplicate: {first.file} (kept) {same}", where, bad=False)
    return Problem(entry.file, reason, where)


def summary(problems: Iterable[Problem]) -> str:
    """Count the problems by kind, the most frequent first: "2 undecodable, 1 missing"."""
    counts = Counter(problem.reason.partition(":")[0] for problem in problems)
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())


def encode_report(problems: Iterable[Problem]) -> bytes:
    """Return the report of problems: one JSON object a line, UTF-8."""
    lines = [json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in problems]
    return "".join(lines).encode("utf-8", "backslashreplace")


def write_report(path: Path, problems: Iterable[Problem]) -> None:
    """Write the report of problems: see `encode_report`."""
    with atomic_write(path, "wb") as file:
        file.write(encode_report(problems))


def read_report(path: Path) -> list[Problem]:
    """Read what `write_report` wrote."""
    with path.open(encoding="utf-8") as file:
        return [Problem(**json.loads(line)) for line in file]


def check_share(
    name: str, problems: Iterable[Problem], *, total: int, max_bad: float, report: Path, kind: str
) -> None:
    """Check that not too large a share of the examples is bad.

    Args:
        name: of the dataset.
        problems: all of them; an example with several counts once.
        total: the number of examples, bad ones included.
        max_bad: the largest share allowed, 0 to 1. Unless it is 0, one bad example of ten, or two
            of twenty or more, are always allowed.
        report: the file that names every problem.
        kind: the noun for an example in the message.

    Raises:
        UserError: if more than `max_bad` of the `total` examples are bad.
    """
    serious = [problem for problem in problems if problem.bad]
    bad = len({problem.file for problem in serious})
    few = min(FEW_BAD, total // 10) if max_bad else 0
    if bad <= max(max_bad * total, few):
        return
    first = serious[0]
    enough = min(1.0, math.ceil(1000 * bad / total) / 1000)
    advice = f", or leave them out: --max-bad {enough:g}" if bad < total else ""
    raise UserError(
        f"{name}: {bad:,} of {total:,} {kind}s ({bad / total:.1%}) have problems, more than the "
        f"{max_bad:.1%} allowed: {summary(serious)}. The first: {first.where or first.file}: "
        f"{first.reason}. Each is named in {report}. Fix them{advice}"
    )
