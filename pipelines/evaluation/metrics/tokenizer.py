r"""The tokenizer for scores: PTB-like, without Java.

coco-caption (Chen et al. 2015, https://arxiv.org/abs/1504.00325) tokenizes with Stanford's
PTBTokenizer 3.4.1 (`-preserveLines -lowerCase`) and then drops a list of punctuation. `tokenize`
gives the same words for all but about one English caption in thirty thousand, by these rules:

1. Text is NFC-normalized and lower-cased. Any run of white space, a newline too, is one space.
   Curly apostrophes and typographic hyphens become ASCII; `&amp; &lt; &gt; &quot; &apos;` become
   their characters; soft hyphens, joiners and variation selectors are removed from words.
2. Clitics are words: `'s 'm 'd 're 've 'll n't` (man's → man 's, can't → ca n't). So are both
   parts of can·not, gon·na, got·ta, wan·na, gim·me, lem·me, 't·is, 't·was. An apostrophe stays in
   ma'am and ol', after the elided c' d' l' n' o' …qu' (o'clock, d'oeuvres), and before 'n' 'em
   'til 'till 'cause and years ('90s).
3. Hyphens and underscores join words (t-shirt, 3-year-old), slashes up to three (black/white,
   1/2), a period joins letters (u.s, statefarm.com), one of `. , : /` joins digits (1,000 3:00
   9/11). A number may begin with a point or, after white space, with a sign (.5 -5). Letters
   stand apart after such a number (3:00 pm), not after plain digits (5ft). `&` joins initials
   (a&m, r&b).
4. A period stays with initials (b. u.s.a. p.m.), with the abbreviations of `_ABBREVIATION`
   (mr. st. dept.), with no. nos. fig. figs. pp. before a number, and nowhere else.
5. Brackets are the words -lrb- -rrb- -lsb- -rsb- -lcb- -rcb-. They stay, as in coco-caption,
   whose list of punctuation names them in upper case. So do runs such as `?!` and `!!`.
6. Dropped: quotation marks, apostrophes that are left, `. ? ! , : ;`, runs of periods or
   hyphens, and whatever Unicode calls punctuation outside ASCII.
7. In scripts without spaces (Chinese, Japanese, Thai, Khmer, …) each character is one word, with
   its marks. So are an emoji sequence, a flag and every other sign (& % $ # + = …). Characters and
   marks are those of `data.media.words`, with which captions are learned.

Known differences from Stanford: it keeps runs of Han together and drops emoji; it keeps `。` and
other foreign punctuation, whole URLs, e-mail addresses, HTML tags and smileys; it writes £ as #,
€ as $, ½ as 1/2; it lets an initial's period go before The and the like (plan B. The); it splits
lower-case `a&m` and knows more abbreviations when they are capitalised (Wash. Tex.), where here
case never matters.
"""

from __future__ import annotations

import html

import regex

from data.media.words import CLASSES, EMOJI, UNSPACED_LETTER, normalize

NAME = "ptb-like"
VERSION = 2  # part of every score's signature: raise it with any change of output

_MARK = rf"[{CLASSES['mark']}\u200d]"  # combining marks and joiners
_WORD = rf"[\w{_MARK}]"
_EMOJI = rf"""(?:
    \p{{Regional_Indicator}}{{2}} | {EMOJI}{_MARK}*+ (?:(?<=\u200d){EMOJI}{_MARK}*+)*+
)"""
_END = rf"(?!{_WORD})"
_CLITIC = rf"""(?:
      '(?:s|m|d|re|ve|ll){_END} | n't{_END}
    | [a-z]+?(?=n't{_END})                             # the do of don't
    | (?:can(?=not)|(?:gon|wan)(?=na)|got(?=ta)|(?:gim|lem)(?=me)|'t(?=is|was))
      (?=[a-z]{{2,3}}{_END})                           # the can of cannot
    | 'n' | '(?:n|em|til|till|cause|\d\ds?){_END} | ma'am{_END} | ol'{_END}
)"""
_ABBREVIATION = rf"""(?:
    (?: adm|al|ala|apr|ariz|assn|atty|aug|ave|bancorp|bldg|blvd|brig|bros|calif|capt|cf|cmdr|co|col
      | colo|conn|corp|cos|cpl|ct|dak|dec|dept|det|dr|drs|esq|est|etc|ext|feb|fla|fri|ft|gen|gov
      | govs|hon|inc|ind|insp|intl|jan|jr|jul|jun|kan|kans|ky|lieut|lt|ltd|maj|mar|md|messrs|mfg
      | mich|minn|mlle|mme|mo|mon|mont|mr|mrs|ms|mt|natl|neb|nev|nov|oct|okla|penn|ph\.d|pres|prof
      | pty|pvt|rd|rep|reps|rev|sen|sens|sep|sept|seq|sgt|sq|sr|st|ste|supt|tel|tenn|thu|thurs|tue
      | tues|univ|va|vs|vt|wed|wis|wisc|wyo
    )\.{_END}
    | (?:nos?|figs?|pp)\.(?=\s?\d)
    | [a-z](?:\.[a-z])*\.{_END}                        # initials: u.s.a.
)"""
_PART = rf"""(?:
      (?:[cdlno]|[a-z]*qu)'{_WORD}{{2,}}               # o'clock
    | [^\W\d]+(?:\.[^\W\d]+)+                          # statefarm.com
    | \.?\d+(?:[.,:/]\d+)+ | \.\d+                     # 1,000 .5
    | {_WORD}+
)"""
_TOKEN = regex.compile(
    rf"""(?V1)
      {_EMOJI}
    | {_CLITIC}
    | [a-z]{{1,2}}&[a-z]{_END}
    | (?:{_ABBREVIATION} | (?:(?<!\S)[-+](?=\.?\d))?{_PART})
      (?:-{_PART})* (?:/{_PART}(?:-{_PART})*){{0,2}}   # t-shirt, black/white
    | \.+ | -+ | [?!]+ | [^{CLASSES["space"]}]
    """,
    regex.VERBOSE,
)
_ENTITY = regex.compile("&(?:amp|lt|gt|quot|apos);")
_UNSPACED_WORD = regex.compile(rf"(?V1)({UNSPACED_LETTER}{_MARK}*)")
_DIRECTION = [0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_REPLACED = str.maketrans("’ʼ‐‑\u200b\ufeff", "''--  ") | dict.fromkeys(_DIRECTION, " ")
_INVISIBLE = dict.fromkeys([0xAD, 0x200C, 0x200D, 0x2060, *range(0xFE00, 0xFE10)])
_BRACKETS = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
}
_PUNCTUATION = regex.compile(r"\p{P}")
_DROPPED = frozenset("'\"`?!,:;")


def tokenize(text: str) -> list[str]:
    r"""Split a caption into the lower-case words that the scorers compare.

    >>> tokenize("A man's T-shirt isn't (quite) red -- it's\nblue!")
    ['a', 'man', "'s", 't-shirt', 'is', "n't", '-lrb-', 'quite', '-rrb-', 'red', 'it', "'s", 'blue']
    >>> tokenize("两只狗 на 3:00pm, U.S. St. ⚽.")
    ['两', '只', '狗', 'на', '3:00', 'pm', 'u.s.', 'st.', '⚽']
    """
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    text = normalize(text)
    if not text.isascii():
        text = _UNSPACED_WORD.sub(r" \1 ", text.translate(_REPLACED))
    tokens = _TOKEN.findall(text)
    if not text.isascii():
        tokens = [token.translate(_INVISIBLE) for token in tokens]
    return [_BRACKETS.get(token, token) for token in tokens if not _is_dropped(token)]


def _is_dropped(token: str) -> bool:
    """Return whether rule 6 drops the token."""
    if token.isascii():
        return token in _DROPPED or not token.strip(".-")
    return _PUNCTUATION.fullmatch(token) is not None
