"""Words to ids and back: the table that training, search and the export share."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from data.common.errors import UserError
from data.common.files import atomic_write
from data.media.words import SPACING, join, tokenize, tokenize_with_spaces

PAD, START, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")


class Vocabulary:
    """An ordered list of words; ids 0..3 are `<pad>`, `<start>`, `<end>`, `<unk>`.

    >>> vocabulary = Vocabulary.build(["a red circle", "a blue circle"], min_count=1)
    >>> vocabulary.encode("a green circle")
    [1, 4, 3, 5, 2]
    >>> vocabulary.decode([1, 4, 5, 2, 0])
    'a circle'

    Attributes:
        words: the words by id.
        ids: the ids by word.
        punctuation: whether any word is a punctuation mark.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Initialize from the words, special tokens first.

        Raises:
            UserError: if the special tokens are not the first four or a word occurs twice.
        """
        self.words = tuple(words)
        if self.words[: len(SPECIAL)] != SPECIAL:
            raise UserError(f"a vocabulary must begin with {SPECIAL}, not {self.words[:4]}")
        self.ids = {word: index for index, word in enumerate(self.words)}
        if len(self.ids) != len(self.words):
            twice = [word for word, count in Counter(self.words).items() if count > 1]
            raise UserError(f"duplicate words in the vocabulary: {twice[:5]}")
        own = self.words[len(SPECIAL) :]
        self.punctuation = any(not tokenize(word) for word in own if word not in SPACING)

    @classmethod
    def build(
        cls, captions: Iterable[str], min_count: int = 5, *, punctuation: bool = False
    ) -> Vocabulary:
        """Collect the words that occur at least `min_count` times, the most frequent first.

        Args:
            captions: any texts.
            min_count: rarer words are omitted.
            punctuation: whether punctuation marks are words.

        Raises:
            UserError: if no word is left.
        """
        counts = Counter(
            word for caption in captions for word in tokenize_with_spaces(caption, punctuation)
        )
        words = [word for word in counts if counts[word] >= min_count and word not in SPECIAL]
        if not words:
            raise UserError(
                f"no word occurs {min_count} times in the training texts; "
                "lower --min-count or add some"
            )
        return cls([*SPECIAL, *sorted(words, key=lambda word: (-counts[word], word))])

    def __len__(self) -> int:
        """Return the number of ids, special tokens included."""
        return len(self.words)

    @property
    def hash(self) -> str:
        """Return 16 hex digits that depend on the words and their order."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:16]

    def affixes(self) -> list[tuple[int, int]]:
        """Return ids for the prefix and the suffix of each word, from 1; 0 for none.

        They are the first four and the last three letters of words of more than four.

        >>> Vocabulary([*SPECIAL, "boring", "boringly", "feeling", "dull"]).affixes()[4:]
        [(1, 2), (1, 3), (4, 2), (0, 0)]
        """
        known: dict[tuple[str, str], int] = {}

        def number(beginning: str, end: str) -> int:
            return known.setdefault((beginning, end), len(known) + 1)

        return [
            (number(word[:4], ""), number("", word[-3:]))
            if len(word) > 4 and word not in SPECIAL
            else (0, 0)
            for word in self.words
        ]

    def encode(self, text: str, max_words: int | None = None) -> list[int]:
        """Return `[START, …, END]`; words after the first `max_words` are omitted."""
        words = tokenize_with_spaces(text, self.punctuation)[:max_words]
        return [START, *(self.ids.get(word, UNKNOWN) for word in words), END]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text up to the first END, without special tokens."""
        words = []
        for index in ids:
            if index == END:
                break
            if index not in (PAD, START):
                words.append(self.words[index])
        return join(words)

    def save(self, path: Path | str) -> None:
        """Write one word per line, UTF-8."""
        with atomic_write(path) as file:
            file.write("\n".join(self.words) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> Vocabulary:
        """Read a file that `save` wrote."""
        return cls(Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n"))
