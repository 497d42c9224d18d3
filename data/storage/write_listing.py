"""From the listing of a source to a dataset on disk, whatever its examples are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.storage.cache import tell, writing_to
from data.storage.prepared import Stored, count_splits

if TYPE_CHECKING:
    from data.annotations.entries import Listing


def write_listing(
    kind: type[Stored],
    name: str,
    listing: Listing,
    options: list[Any],
    home: Path,
    max_bad: float,
    write: Callable[..., Path],
    *,
    what: str = "picture",
) -> Any:
    """Write what a listing holds unless it is there, with a report of what is wrong.

    Args:
        kind: of what is returned.
        name: of the dataset.
        listing: of its files.
        options: what else decides about what is stored.
        home: where it goes.
        max_bad: the share of examples that may have problems, 0 to 1.
        write: `(fingerprint, problems, bar=, finish=)` → the dataset's directory; adds to
            `problems`, moves the bar, and calls `finish` when all are known.
        what: an example is called.

    Raises:
        UserError: for too many problems, or a folder that cannot be written.
    """
    from data.annotations.problems import check_share, read_report, write_report
    from data.common.progress import progress
    from data.storage.builders import is_built
    from data.storage.fingerprints import fingerprint_of

    with writing_to(home):
        fingerprint = fingerprint_of(listing, options, home / "fingerprints")
    report = home / name / fingerprint / "problems.jsonl"
    again = is_built(home, name, fingerprint)
    problems = list(listing.problems)

    def finish() -> None:
        write_report(report, problems)
        check_share(name, problems, total=listing.total, max_bad=max_bad, report=report, kind=what)

    bar = progress(len(listing.entries), f"checking {what}s", f"{what}s")
    with writing_to(home), bar:
        if again and report.is_file():
            problems[:] = read_report(report)
        finish()  # what the listing shows need not wait for the files
        directory = write(fingerprint, problems, bar=bar, finish=finish)
    prepared = kind(name, directory, fingerprint, count_splits(directory), report)
    tell(prepared, problems, again=again, kind=f"{what}s")
    return prepared
