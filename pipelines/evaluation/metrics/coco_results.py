"""COCO's results format: `[{"image_id": 42, "caption": "a dog runs"}, …]`, one file per run.

An id of digits without a leading zero is written as a number, as COCO's tools expect; any other
(`"2090545563_a4e66ec76b.jpg"`, `"007"`) as a string. Read back, ids are strings again.
https://cocodataset.org/#format-results
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from data.common.errors import UserError
from data.common.files import atomic_write

_NUMBER = re.compile("0|[1-9][0-9]*")


def write_results(path: Path | str, candidates: Mapping[str, str]) -> None:
    """Write the captions by image id, in their order.

    Raises:
        OSError: if the file cannot be written.
    """
    results = [
        {"image_id": int(item) if _NUMBER.fullmatch(item) else item, "caption": caption}
        for item, caption in candidates.items()
    ]
    with atomic_write(path) as file:
        json.dump(results, file, ensure_ascii=False, indent=0)


def read_results(path: Path | str) -> dict[str, str]:
    """Read the captions by image id, in the file's order.

    Raises:
        UserError: if the file is not in the results format, or has an image twice.
        OSError: if it cannot be read.
    """
    try:
        results = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(results, list):
        raise UserError(
            f"{path} holds a JSON {type(results).__name__}; COCO's results are a list of "
            '{"image_id": …, "caption": …}'
        )
    captions: dict[str, str] = {}
    for number, result in enumerate(results):
        match result:
            case {"image_id": item, "caption": str(caption)} if type(item) in (int, str):
                if str(item) in captions:
                    raise UserError(f"{path}: image {item} occurs twice, again as entry {number}")
                captions[str(item)] = caption
            case _:
                raise UserError(
                    f"{path}: entry {number} must have an image_id (number or string) and a "
                    f"caption (string), not {json.dumps(result)[:80]}"
                )
    return captions
