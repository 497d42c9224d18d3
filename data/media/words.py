r"""Words of any script: normalization and word boundaries, the same everywhere.

Training, the graph of an export (`pipelines.preprocessing.text`) and the scores divide texts by
these rules:

1. Normalization to NFC (Unicode Standard Annex 15). A run of more than 30 combining marks is
   divided by U+034F, as in the Stream-Safe Text Format: the work is linear in the length.
2. Word boundaries of Unicode Standard Annex 29: emoji sequences, flags, combining marks and joiners
   stay together; in scripts without spaces (Chinese, Japanese, Thai, Khmer, …) each character is
   a word, with its marks.
3. Different from the annex: hyphens and apostrophes join letters and digits (t-shirt, 1990's),
   `.` `,` `:` `/` join digits (9:30, 1,000, 24/7), each character of Katakana is a word, U+200B,
   U+202F and marks of direction (U+200E, U+200F, …) are spaces.

https://www.unicode.org/reports/tr29/ and https://www.unicode.org/reports/tr15/
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

import regex

_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"  # and the byte order mark
# Expressions for one character; its class is the first that matches.
CLASSES = {
    "space": rf"[\s\x1c-\x1f\u200b{_DIRECTION}]",
    "skipped": r"[\p{Cc}\p{Cs}\ufffd￭␣]",  # never part of a token
    "joiner": r"\u200d",
    # With the joiner: part of the character before.
    "mark": rf"[[\p{{WB=Extend}}\p{{WB=Format}}]--[{_DIRECTION}]]",
    "regional": r"\p{WB=Regional_Indicator}",
    "hebrew": r"\p{WB=Hebrew_Letter}",
    "letter": r"\p{WB=ALetter}",
    "digit": r"[[\p{WB=Numeric}\p{No}]--\p{Extended_Pictographic}]",
    "connector": r"[\p{WB=ExtendNumLet}--\s]",
    "quote": r"'",
    "double_quote": r'"',
    "inner": r"[’‐‑-]",  # joins letters and digits
    "inner_both": r"[\p{WB=MidNumLet}:]",  # joins two letters, or two digits
    "inner_letters": r"\p{WB=MidLetter}",
    "inner_digits": r"[\p{WB=MidNum}/]",
}
# Other properties of a character.
PICTOGRAPH = r"\p{Extended_Pictographic}"  # continues a word that ends in a joiner
EMOJI = r"[\U0001f000-\U0001faff\u2600-\u27bf]"
WORD_CHARACTER = rf"[\p{{L}}\p{{N}}\p{{WB=Regional_Indicator}}{EMOJI}]"
NONSTARTER = r"\P{ccc=0}"
# The first character of a token decides about the space beside it.
CLOSING = ".,;:!?…%)]}।॥؟،؛۔។៕"  # no space before
OPENING = "([{¿¡"  # no space after
UNSPACED_LETTER = r"[\p{L}&&[\p{WB=Other}\p{WB=Katakana}]]"
UNSPACED = rf"[{UNSPACED_LETTER}[\p{{P}}&&[\p{{EA=W}}\p{{EA=F}}]]]"  # neither
# Tokens for what differs: no space where there usually is one, a space where there is none.
JOIN, SPACE = "￭", "␣"
SPACING = {JOIN: "", SPACE: " "}
MARKS_IN_A_RUN = 30


def _pattern(expression: str) -> regex.Pattern[str]:
    return regex.compile(f"(?V1){expression}")


def _segment() -> str:
    """Return the expression of the text between two word boundaries, white space aside."""
    own = CLASSES
    after = rf"[{own['mark']}\u200d]*+"
    letter, digit, joins = (
        f"[{own['letter']}{own['hebrew']}]",
        own["digit"],
        f"[{own['quote']}{own['inner']}]",
    )
    both, letters, digits = own["inner_both"], own["inner_letters"], own["inner_digits"]
    unit = "|".join(
        [
            rf"{own['hebrew']}{after}{own['quote']}{after}",
            rf"{own['hebrew']}{after}{own['double_quote']}{after}(?={own['hebrew']})",
            rf"(?:(?:{own['letter']}{after})++|{own['hebrew']}{after})(?:[{joins}{both}{letters}]{after}(?={letter})"
            rf"|{joins}{after}(?={digit}))?+",
            rf"(?:{digit}{after})++(?:[{joins}{both}{digits}]{after}(?={digit})"
            rf"|{joins}{after}(?={letter}))?+",
            rf"{own['connector']}{after}",
        ]
    )
    regional = own["regional"]
    piece = rf"(?:(?:{unit})++|{regional}{after}{regional}{after}|[^{own['space']}]{after})"
    return rf"{piece}(?:(?<=\u200d)(?={PICTOGRAPH}){piece})*+"


_SEGMENT = _pattern(_segment())
# The same for ASCII, in a tenth of the time.
_ASCII_SEGMENT = re.compile(
    r"(?:[a-z]+(?:['.:-](?=[a-z])|['-](?=[0-9]))?|[0-9]+(?:['.,:;/-](?=[0-9])|['-](?=[a-z]))?|_)+"
    r"|\S"
)
_SPACES = _pattern(rf"{CLASSES['space']}+")
_WORD_CHARACTER = _pattern(WORD_CHARACTER)
_NO_TOKEN = _pattern(rf"[{CLASSES['skipped']}{CLASSES['mark']}\u200d]")
_UNSPACED = _pattern(UNSPACED)
_LONG_RUN = _pattern(rf"({NONSTARTER}{{{MARKS_IN_A_RUN}}})(?={NONSTARTER})")


def normalize(text: str) -> str:
    """Return a text in NFC and lower case; the time is linear in its length."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", _LONG_RUN.sub("\\1\u034f", text)).lower()


def tokenize(text: str, punctuation: bool = False) -> list[str]:
    r"""Split a text into lower-case words.

    Args:
        text: the text.
        punctuation: whether punctuation marks and symbols are kept, each as a token.

    >>> tokenize("A man's T-shirt -- is RED .")
    ['a', "man's", 't-shirt', 'is', 'red']
    >>> tokenize("一只狗 plays ⚽ at 9:30!")
    ['一', '只', '狗', 'plays', '⚽', 'at', '9:30']
    >>> [len(tokenize(word)) for word in ("ខ្ញុំ", "שָׁלוֹם", "كَلْب", "می\u200cخواهم")]
    [2, 1, 1, 1]
    >>> tokenize("A man's T-shirt -- is RED.", punctuation=True)
    ['a', "man's", 't-shirt', '-', '-', 'is', 'red', '.']
    """
    return [token for token, _, _ in _tokens(normalize(text), punctuation)]


def tokenize_with_spaces(text: str, punctuation: bool = False) -> list[str]:
    """Split a text as `tokenize` does, with the tokens JOIN and SPACE where `join` needs them.

    >>> tokenize_with_spaces('it is "red".', punctuation=True)
    ['it', 'is', '"', '￭', 'red', '￭', '"', '.']
    >>> tokenize_with_spaces("骑着 new york 自行车")
    ['骑', '着', '␣', 'new', 'york', '␣', '自', '行', '车']
    """
    text, end = normalize(text), 0
    tokens: list[str] = []
    for token, start, after in _tokens(text, punctuation):
        between = text[end:start]
        if tokens and needs_space(tokens[-1], token) and not between:
            tokens.append(JOIN)
        elif tokens and not needs_space(tokens[-1], token) and _SPACES.fullmatch(between):
            tokens.append(SPACE)
        tokens.append(token)
        end = after
    return tokens


def join(tokens: Iterable[str]) -> str:
    """Return the text of tokens: `join(tokenize_with_spaces(text, True))` is the text, lower case.

    Characters that are no token (controls, marks without a letter) are lost, and a run of white
    space becomes one space.

    >>> join(["it", "is", '"', JOIN, "red", JOIN, '"', "."])
    'it is "red".'
    """
    text, previous = "", None
    for token in tokens:
        spaced = previous is not None and needs_space(previous, token)
        text += " " * spaced + SPACING.get(token, token)
        previous = token
    return text.strip(" ")


def needs_space(first: str, second: str) -> bool:
    """Return whether there usually is a space between two tokens.

    >>> needs_space("the", "dog"), needs_space("dog", "."), needs_space("(", "a")
    (True, False, False)
    """
    if first[0] in OPENING or second[0] in CLOSING:
        return False
    return not any(map(_is_unspaced, (first, second)))


def mostly_unspaced(texts: Iterable[str]) -> bool:
    """Return whether most words of some texts are of a script without spaces.

    >>> mostly_unspaced(["一只狗 runs"]), mostly_unspaced(["a dog 狗"])
    (True, False)
    """
    words = [word for text in texts for word in tokenize(text)]
    return 2 * sum(map(_is_unspaced, words)) > len(words)


def _is_unspaced(token: str) -> bool:
    return not token.isascii() and (token in SPACING or bool(_UNSPACED.match(token)))


def _tokens(text: str, punctuation: bool) -> Iterator[tuple[str, int, int]]:
    """Yield the tokens of a normalized text and where they begin and end."""
    plain = text.isascii()
    for found in (_ASCII_SEGMENT if plain else _SEGMENT).finditer(text):
        token = found[0]
        if not (plain and token.isalnum()):  # else it is a word: most are
            word = punctuation or token.isalnum() or _WORD_CHARACTER.search(token)
            if not word or _NO_TOKEN.match(token):
                continue
        yield token, found.start(), found.end()


def is_blank(text: str) -> bool:
    r"""Return whether a text has neither a word nor punctuation.

    >>> is_blank(" \x01\t\u2028"), is_blank("?"), is_blank("猫")
    (True, False, False)
    """
    return next(_tokens(normalize(text), True), None) is None
