"""Sequences for other programs: text, FASTA, tunes in ABC notation, MIDI and MusicXML.

Which of them fits is seen from the vocabulary: letters alone, tunes with their keys, or a piano's places.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from saddlepoint.data.abc_notation import text_of
from saddlepoint.data.melody import DEFAULTS, VOCABULARY, score_of, score_of_abc
from saddlepoint.data.vocabulary import END, UNKNOWN
from saddlepoint.errors import UsageError
from saddlepoint.training.storage import refusals, write_bytes

TEXT, LETTERS, TUNES = (".txt",), (".fasta", ".fa"), (".abc",)
SCORES = {".mid": "midi", ".midi": "midi", ".musicxml": "musicxml"}  # suffix -> music21's name of the form
WIDTH = 60  # letters in a line of FASTA


def suffixes_of(vocabulary: Sequence[str]) -> tuple[str, ...]:
    """What sequences of this vocabulary can be written as, by the file's suffix.

    >>> suffixes_of(("<end>", "A", "C")), suffixes_of(("<end>", "|", "K:D"))
    (('.txt', '.fasta', '.fa'), ('.txt', '.abc', '.mid', '.midi', '.musicxml'))
    """
    words = [word for word in vocabulary if word not in (END, UNKNOWN)]
    if tuple(vocabulary) == VOCABULARY:
        return (*TEXT, *SCORES)
    if any(word.startswith("K:") for word in words):
        return (*TEXT, *TUNES, *SCORES)
    return (*TEXT, *LETTERS) if words and all(len(word) == 1 and word.isalpha() for word in words) else TEXT


def write_sequences(lines: Sequence[str], vocabulary: Sequence[str], data_name: str, path: Path) -> None:
    """Write samples.

    Args:
        lines: one a sample, as the game says them.
        vocabulary: of the data.
        data_name: of the data, whose options say how many places of a melody are a quarter note.
        path: its suffix says the form.
    Raises:
        UsageError: for a form that does not fit, with those that do, or where music21 is needed and not there.
    """
    fitting = suffixes_of(vocabulary)
    if path.suffix.lower() not in fitting:
        raise UsageError(f"Sequences of this data are written as {', '.join(fitting)}, .npy or .npz; {path.name} was asked for.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() in SCORES:
        _write_score([line.split() for line in lines], tuple(vocabulary) == VOCABULARY, data_name, path)
    else:
        write_bytes(path, _text(lines, path.suffix.lower()).encode())


def _text(lines: Sequence[str], suffix: str) -> str:
    if suffix in LETTERS:
        cut = ["\n".join(line[start : start + WIDTH] for start in range(0, len(line), WIDTH)) for line in lines]
        return "".join(f">sample-{number}\n{letters}\n" for number, letters in enumerate(cut, 1))
    if suffix in TUNES:
        return "\n\n".join(text_of(line.split(), number) for number, line in enumerate(lines, 1)) + "\n"
    return "".join(f"{line}\n" for line in lines)


def _write_score(tunes: Sequence[Sequence[str]], melodies: bool, data_name: str, path: Path) -> None:
    """One score of all tunes, one after the other."""
    if melodies:
        grid = re.search(r"[?&]grid=(\d+)", data_name)
        score = score_of(tunes, int(grid[1]) if grid else int(DEFAULTS["grid"]))
    else:
        score = score_of_abc([text_of(tokens, number) for number, tokens in enumerate(tunes, 1)])
    aside = path.with_name(f".{path.name}.part{path.suffix}")
    try:
        with refusals(path):
            score.write(SCORES[path.suffix.lower()], aside)
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
