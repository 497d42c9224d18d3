"""Tables without a header: which column holds what, and headers that are not recognized."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

SAMPLE = 2000  # rows that decide
FEW = 4  # with fewer rows, counts of labels prove nothing
MANY = 20  # with so many rows, labels recur
_NAME = re.compile(r"[^\W\d][\w-]*")
# ISO 639-1, English name.
_CODES = """
ar:arabic bg:bulgarian bn:bengali ca:catalan cs:czech da:danish de:german el:greek en:english
es:spanish et:estonian eu:basque fa:persian fi:finnish fr:french ga:irish gl:galician gu:gujarati
he:hebrew hi:hindi hr:croatian hu:hungarian id:indonesian is:icelandic it:italian ja:japanese
ka:georgian kk:kazakh km:khmer ko:korean la:latin lt:lithuanian lv:latvian mk:macedonian
ml:malayalam mr:marathi ms:malay nl:dutch no:norwegian pl:polish pt:portuguese ro:romanian
ru:russian si:sinhala sk:slovak sl:slovenian sq:albanian sr:serbian sv:swedish sw:swahili ta:tamil
te:telugu th:thai tr:turkish uk:ukrainian ur:urdu vi:vietnamese zh:chinese
"""
LANGUAGES = dict(pair.split(":") for pair in _CODES.split())
_HEADER_WORDS = {
    *LANGUAGES.values(), "source", "target", "src", "tgt", "text", "translation", "sentence"
}  # fmt: skip


def label_columns(rows: Sequence[Sequence[str]], headers_usual: bool) -> tuple[int, int] | str:
    """Return the columns of text and label of a table without a header.

    Of two columns, the text is the first, unless only the values of the first recur. Of more, the
    label is the only one whose values recur, and the text the longest of the others.

    Args:
        rows: the first rows, all with as many cells as the first.
        headers_usual: whether such tables have a header unless the opposite is proved.

    Returns:
        The indices, or why there are none.
    """
    first, *others = rows
    distinct = [len({row[column] for row in rows}) for column in range(len(first))]
    recurring = [column for column, count in enumerate(distinct) if 2 * count <= len(rows)]
    text, label = 0, 1
    if len(first) > 2 or (len(rows) >= FEW and recurring == [0]):
        if len(recurring) != 1:
            return "which of its columns are text and label is not clear"
        label = recurring[0]
        texts = (column for column in range(len(first)) if column != label)
        text = max(texts, key=lambda column: sum(len(row[column]) for row in rows))
    if len(rows) >= MANY and distinct[label] > 0.9 * len(rows):
        return f"it has {distinct[label]:,} labels in {len(rows):,} lines"
    counts = Counter(row[label] for row in others)
    if first[label] in counts or not (others or headers_usual):
        return text, label
    only_numbers = all(map(_is_number, counts)) and not _is_number(first[label])
    names = all(map(_NAME.fullmatch, first)) and all(" " in row[text] for row in others)
    all_recur = len(rows) >= FEW and min(counts.values(), default=1) > 1
    if headers_usual or only_numbers or names or all_recur:
        return f"no other line has the label {first[label]!r}, so that this may be a header"
    return text, label


def pair_columns(rows: Sequence[Sequence[str]]) -> tuple[int, int] | str:
    """Return the columns of text and translation of a table without a header.

    Args:
        rows: the first rows, all with as many cells as the first.

    Returns:
        The indices, or why there are none.
    """
    first, *others = rows
    if len(first) == 3 and all(row[2].startswith("CC-BY ") for row in rows):  # of Tatoeba
        first, *others = [row[:2] for row in rows]
    if len(first) != 2:
        return "which of its columns are text and translation is not clear"
    single = sum(all(map(_NAME.fullmatch, row)) for row in others)
    if all(map(_NAME.fullmatch, first)) and 2 * single < len(others):
        return "it may be a header (--languages gives the names of languages)"
    words = [re.split(r"[\W_]+", cell.lower()) for cell in first]
    if all(len(each) <= 3 and not _HEADER_WORDS.isdisjoint(each) for each in words):
        return "it may be a header (--languages gives the names of languages)"
    return 0, 1


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
