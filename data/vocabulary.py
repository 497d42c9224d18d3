"""Words to ids and back: the one table that training, search and the export share."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from data.errors import UserError
from data.files import atomic_write

PAD, START, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")

# Scripts written without spaces: one character, one token.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
# What a token is made of, each an expression for one character.
CLASSES = {
    "unspaced": rf"[{_UNSPACED}]",
    "letter": rf"(?![{_UNSPACED}_])[\w\u0300-\u036f\u0900-\u0d7f\u0e00-\u0eff]",
    "inner": rf"(?![{_UNSPACED}_])\w",  # after an apostrophe or hyphen
    "sign": r"[\U0001f000-\U0001faff\u2600-\u27bf]",
}
# Otherwise a run of letters, marks and digits, with inner apostrophes and hyphens; then emoji.
_TOKEN = re.compile(r"{unspaced}|(?:{letter})+(?:['’-](?:{inner})+)*|{sign}".format(**CLASSES))


def tokenize(text: str) -> list[str]:
    """Split a sentence into lower-case words, without punctuation (Karpathy & Fei-Fei 2015).

    >>> tokenize("A man's T-shirt -- is RED .")
    ['a', "man's", 't-shirt', 'is', 'red']
    >>> tokenize("一只狗 plays ⚽!")
    ['一', '只', '狗', 'plays', '⚽']
    """
    return _TOKEN.findall(unicodedata.normalize("NFC", text).lower())


class Vocabulary:
    """An ordered list of words; ids 0..3 are `<pad>`, `<start>`, `<end>`, `<unk>`.

    >>> vocabulary = Vocabulary.build(["a red circle", "a blue circle"], min_count=1)
    >>> vocabulary.encode("a green circle")
    [1, 4, 3, 5, 2]
    >>> vocabulary.decode([1, 4, 5, 2, 0])
    'a circle'
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Take the words, specials first.

        Raises:
            UserError: if the specials are not the first four or a word stands twice.
        """
        self.words = tuple(words)
        if self.words[: len(SPECIAL)] != SPECIAL:
            raise UserError(f"a vocabulary begins with {SPECIAL}, not {self.words[:4]}")
        self.ids = {word: index for index, word in enumerate(self.words)}
        if len(self.ids) != len(self.words):
            twice = [word for word, count in Counter(self.words).items() if count > 1]
            raise UserError(f"a vocabulary holds each word once; twice: {twice[:5]}")

    @classmethod
    def build(cls, captions: Iterable[str], min_count: int = 5) -> Vocabulary:
        """Collect the words seen at least `min_count` times, the most frequent first."""
        counts = Counter(word for caption in captions for word in tokenize(caption))
        words = [word for word in counts if counts[word] >= min_count and word not in SPECIAL]
        if not words:
            raise UserError(
                f"no word occurs {min_count} times in the training captions; "
                "lower --min-count or add captions"
            )
        return cls([*SPECIAL, *sorted(words, key=lambda word: (-counts[word], word))])

    def __len__(self) -> int:
        """Return the number of ids, specials included."""
        return len(self.words)

    @property
    def separator(self) -> str:
        """What stands between words: nothing where most of them are unspaced characters."""
        unspaced = sum(bool(re.fullmatch(f"[{_UNSPACED}]", word)) for word in self.words)
        return "" if 2 * unspaced > len(self.words) - len(SPECIAL) else " "

    @property
    def hash(self) -> str:
        """Return 16 hex digits that change with any word or their order."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:16]

    def encode(self, text: str, max_words: int | None = None) -> list[int]:
        """Return `[START, …, END]`; words past `max_words` are cut."""
        words = tokenize(text)[:max_words]
        return [START, *(self.ids.get(word, UNKNOWN) for word in words), END]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words up to the first END, without specials."""
        words = []
        for index in ids:
            if index == END:
                break
            if index not in (PAD, START):
                words.append(self.words[index])
        return self.separator.join(words)

    def save(self, path: Path | str) -> None:
        """Write one word a line, UTF-8."""
        with atomic_write(path) as file:
            file.write("\n".join(self.words) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> Vocabulary:
        """Read what `save` wrote."""
        return cls(Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n"))
