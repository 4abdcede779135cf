"""Tunes in ABC notation as tokens, as text again, and in another key.

A tune is its metre, unit of length and key, one token each, and then its notes, rests, bars, tuplets, ties and dotted pairs in their order. What does
not sound, or is a player's choice, is left out: titles, chord symbols, slurs, ornaments and grace notes. ABC standard 2.1, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from saddlepoint.errors import UsageError

HEADER = ("M", "L", "K")  # fields that are tokens
USUAL = {"M": "4/4", "L": "1/8", "K": "C"}  # of tunes that do not say
LETTERS = "CDEFGAB"
STEPS = (0, 2, 4, 5, 7, 9, 11)  # semitones of the letters above C
FIFTHS = {"C": 0, "D": 2, "E": 4, "F": -1, "G": 1, "A": 3, "B": 5}  # sharps of the major key on a letter
MODES = {"": 0, "maj": 0, "ion": 0, "lyd": 1, "mix": -1, "dor": -2, "m": -3, "min": -3, "aeo": -3, "phr": -4, "loc": -5}
SHARPS = "FCGDAEB"  # the order in which a key's sharps come; its flats come backwards
MARKS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}

_NOTE = r"(?:\^\^|\^|__|_|=)?[A-Ga-g][,']*"
_LENGTH = r"\d*(?:/+\d*)?"
_DROPPED = re.compile(r"\"[^\"]*\"|![^!]*!|\{[^}]*\}|%.*|\\")
_TOKEN = re.compile(
    r"\[[KML]:[^\]]*\]"  # another key, metre or unit from here on
    r"|\|:|:\|:?|::|\|\||\|\]|\[\||\|\d|\[\d|\|"  # bars and endings
    rf"|\[(?:{_NOTE}{_LENGTH})+\]{_LENGTH}"  # notes that sound together
    rf"|{_NOTE}{_LENGTH}|[zxZ]{_LENGTH}"
    r"|\(\d(?::\d?){0,2}|[<>]+|-"
)
_PARTS = re.compile(rf"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)({_LENGTH})")
_KEY = re.compile(r"([A-Ga-g])([#b]?)\s*([A-Za-z]*)")


def tunes_of(text: str) -> Iterator[tuple[int, str]]:
    """The tunes of a file, with the numbers of the lines where they begin.

    >>> [line for line, _ in tunes_of("X:1\\nK:C\\nCD|\\n\\nX:2\\nK:G\\nGA|\\n")]
    [1, 5]
    """
    begins = [match.start() for match in re.finditer(r"^X:", text, re.MULTILINE)]
    for begin, end in zip(begins, [*begins, len(text)][1:], strict=True):
        yield text.count("\n", 0, begin) + 1, text[begin:end]


def tokens_of(tune: str) -> list[str]:
    """The tokens of a tune; none of one without notes.

    >>> tokens_of('X:1\\nT:A tune\\nM:6/8\\nL:1/8\\nK:D maj\\n|: "D"A2 (d>e) | ~f3- f2 :|\\nw: words\\n')
    ['M:6/8', 'L:1/8', 'K:Dmaj', '|:', 'A2', 'd', '>', 'e', '|', 'f3', '-', 'f2', ':|']
    """
    header, body, began = dict(USUAL), [], False
    for line in tune.splitlines():
        field = re.match(r"\s*([A-Za-z]):(.*)", line)
        if field and not line.lstrip().startswith("|"):
            name, value = field[1], "".join(field[2].partition("%")[0].split())
            if name in HEADER and value and not began:
                header[name] = value
            elif name in HEADER and value:
                body.append(f"[{name}:{value}]")
            began = began or name == "K"
        elif began and line.strip():
            body.extend(_TOKEN.findall(_DROPPED.sub(" ", line)))
    sounds = any(_PARTS.match(token.lstrip("[")) and not re.match(r"\[[KML]:", token) for token in body)
    return [*(f"{name}:{header[name]}" for name in HEADER), *body] if sounds else []


def text_of(tokens: Sequence[str], number: int = 1) -> str:
    """A tune of tokens, as ABC; what the header does not say is as usual.

    >>> print(text_of(["M:6/8", "L:1/8", "K:D", "A2", "d", "|", "f3"]))
    X:1
    T:1
    M:6/8
    L:1/8
    K:D
    A2d | f3
    """
    header, body = dict(USUAL), []
    for token in tokens:
        if token[:2] in ("M:", "L:", "K:"):
            header[token[0]] = token[2:]
        else:
            body.append(f" {token} " if set(token) <= set("|:[]123456789") and "|" in token else token)
    return "\n".join([f"X:{number}", f"T:{number}", *(f"{name}:{header[name]}" for name in HEADER), "".join(body).strip()])


def transposed(tokens: Sequence[str], semitones: int) -> list[str]:
    """A tune higher by so many semitones, in a key of the fewest sharps or flats; every note keeps its place in the scale.

    Raises:
        UsageError: for a key that is none.

    >>> transposed(["M:2/4", "L:1/8", "K:D", "D", "^G", "f", "=c"], 2)
    ['M:2/4', 'L:1/8', 'K:E', 'E', '^A', 'g', '=d']
    """
    key = next((token[2:] for token in tokens if token.startswith("K:")), USUAL["K"])
    moved = []
    keys = _moved_key(key, semitones)
    for token in tokens:
        if token.startswith(("K:", "[K:")):
            inline = token.startswith("[")
            keys = _moved_key(token.strip("[]")[2:], semitones)
            moved.append(f"[K:{keys.name}]" if inline else f"K:{keys.name}")
        elif token.startswith(("M:", "L:", "[M:", "[L:")):
            moved.append(token)
        else:
            moved.append(_PARTS.sub(partial(_moved, keys=keys), token))
    return moved


class _Keys(NamedTuple):
    """From one key to another.

    Attributes:
        old, new: their sharps, less than 0 for flats.
        steps: letters to go up.
        name: of the new key.
    """

    old: int
    new: int
    steps: int
    name: str


def _moved_key(key: str, semitones: int) -> _Keys:
    found = _KEY.fullmatch(key)
    mode = found[3].lower()[:3] if found else ""
    if key.lower() in ("none", "hp"):
        found, mode = _KEY.fullmatch("C"), ""
    if found is None or (mode if mode in MODES else mode[:1]) not in MODES:
        raise UsageError(f"K:{key} is no key of ABC notation. Write such as K:G, K:F#m or K:D dorian.")
    offset = MODES[mode if mode in MODES else mode[:1]]
    accidental = {"": 0, "#": 1, "b": -1}[found[2]]
    letter = LETTERS.index(found[1].upper())
    sharps = FIFTHS[LETTERS[letter]] + 7 * accidental + offset
    choices = []
    for up in range(-7, 8):
        octave, place = divmod(letter + up, 7)
        mark = STEPS[letter] + accidental + semitones - (STEPS[place] + 12 * octave)
        if abs(mark) <= 1:
            new = FIFTHS[LETTERS[place]] + 7 * mark + offset
            choices.append((abs(new), abs(up), up, new, LETTERS[place] + ("b", "", "#")[mark + 1] + found[3]))
    _, _, up, new, name = min(choices)
    return _Keys(sharps, new, up, name)


def _alteration(sharps: int, letter: str) -> int:
    """What a key of so many sharps (of flats, where less than 0) does to a letter, in semitones."""
    if sharps >= 0:
        return sum(SHARPS[k % 7] == letter for k in range(sharps))
    return -sum(SHARPS[6 - k % 7] == letter for k in range(-sharps))


def _moved(match: re.Match[str], keys: _Keys) -> str:
    mark, letter, octaves, length = match.groups()
    place = LETTERS.index(letter.upper()) + 7 * letter.islower() + 7 * (octaves.count("'") - octaves.count(",")) + keys.steps
    if mark is not None:
        beside = MARKS[mark] - _alteration(keys.old, letter.upper()) + _alteration(keys.new, LETTERS[place % 7])
        if abs(beside) > 2:  # there is no threefold sharp: the next letter, one less
            beside -= _height(place + (1 if beside > 0 else -1)) - _height(place)
            place += 1 if beside > 0 else -1
        mark = next(text for text, value in MARKS.items() if value == beside)
    octave, name = place // 7, LETTERS[place % 7]
    marks = "'" * (octave - 1) if octave >= 1 else "," * -octave
    return f"{mark or ''}{name.lower() if octave >= 1 else name}{marks}{length}"


def _height(place: int) -> int:
    """Semitones of a letter above C, unaltered; 7 letters are an octave."""
    return 12 * (place // 7) + STEPS[place % 7]
