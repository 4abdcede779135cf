"""Melodies of scores: ``midi:PATH?length=32&step=32&grid=2&transpose=5``, read by music21 (the extra ``music``).

PATH is a MIDI, MusicXML, Humdrum or ABC file, or a folder of them; sub-folders of several are classes. A quarter note is cut into ``grid`` places. A
token says what is heard at a place: the highest note that begins there (C4), the same still sounding (-), or nothing (r). A record is ``length``
places; the next begins ``step`` places later. With ``transpose`` it has a field of itself up to so many semitones higher and lower, for
``--augment-data transpose``.

After the piano melodies of SeqGAN (Yu et al. 2017, arXiv:1609.05473, section 5.3: one of 88 pitches a place, 32 places); that a note begins or goes
on is told apart here, so that a melody can be written down again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import Pixels
from saddlepoint.data.options import read_options
from saddlepoint.data.recordings import Cut, find_recordings, open_recordings
from saddlepoint.data.registry import Request
from saddlepoint.data.vocabulary import END
from saddlepoint.data.windows import Windows
from saddlepoint.errors import UsageError

SUFFIXES = frozenset((".mid", ".midi", ".xml", ".musicxml", ".mxl", ".krn", ".abc"))
DEFAULTS = {"length": 32, "step": 0, "grid": 2, "transpose": 0}
HELD, REST = "-", "r"
LOWEST, HIGHEST = 21, 108  # a piano's 88 keys, A0 to C8
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
VOCABULARY = (END, HELD, REST, *(f"{NAMES[pitch % 12]}{pitch // 12 - 1}" for pitch in range(LOWEST, HIGHEST + 1)))
OCTAVE = 12
FIRST = VOCABULARY.index("A0")  # token of the lowest key

log = logging.getLogger("saddlepoint")


def open_midi(place: str, request: Request) -> ArrayDataset:
    """The melodies of scores, see the module.

    Returns:
        Records of "tokens", int64 [t], and "label" where sub-folders are classes.
    Raises:
        DataError: scores without notes, too short, or damaged.
        UsageError: for options that there are not, a resolution, or where music21 is needed and not there.
    """
    if request.resolution is not None or request.channels is not None:
        raise UsageError(f"{request.name} holds sequences, which have no resolution and no channels. Leave those settings out.")
    path, options = read_options(place, DEFAULTS)
    length, grid = int(options["length"]), int(options["grid"])
    if int(options["transpose"]) > OCTAVE:
        raise UsageError(f"transpose is at most {OCTAVE} semitones; {options['transpose']} came.")

    def read(score: Path) -> Iterator[Pixels]:
        found = melody(score, grid)
        yield from (np.array([token], np.uint8) for token in found)

    keys = torch.tensor([each for k in range(1, int(options["transpose"]) + 1) for each in (k, -k)], dtype=torch.int64)

    def other_keys(found: Tensor) -> Tensor:
        return torch.stack([shifted(found[..., 0].long(), key.expand(len(found))) for key in keys], 1)

    def fields(tokens: Tensor, starts: Tensor) -> dict[str, Windows]:
        own = {"tokens": Windows(tokens, starts, length, (length,), lambda found: found[..., 0].long())}
        return own | ({"transposed": Windows(tokens, starts, length, (len(keys), length), other_keys)} if len(keys) else {})

    cut = Cut(
        kind="sequence",
        noun="score",
        num_parts=length,
        step=int(options["step"]) or length,
        fields=fields,
        short=f"{length} places ({grid} a quarter note)",
        asked={"midi": grid},
        vocabulary=VOCABULARY,
    )
    root = Path(path).expanduser()
    return open_recordings(request.name, root, find_recordings(root, SUFFIXES), read, cut)


def melody(score: Path, grid: int) -> list[int]:
    """Tokens of a score, from its first note to its last.

    Raises:
        ValueError: if it has no notes between A0 and C8.
        Exception: whatever music21 raises for what it cannot read.
    """
    opened = _music21().converter.parse(str(score))
    highest: dict[int, tuple[int, int]] = {}  # place -> pitch, and the place where it ends
    for note in opened.stripTies().flatten().notes:
        pitches = [pitch.midi for pitch in note.pitches if LOWEST <= pitch.midi <= HIGHEST]
        place, end = (round(float(beat) * grid) for beat in (note.offset, note.offset + note.quarterLength))
        if pitches and max(pitches) > highest.get(place, (0, 0))[0]:
            highest[place] = (max(pitches), max(end, place + 1))
    if not highest:
        raise ValueError("it has no notes between A0 and C8")
    tokens, sounding_to = [], 0
    for place in range(min(highest), max(end for _, end in highest.values())):
        if place in highest:
            pitch, sounding_to = highest[place]
            tokens.append(FIRST + pitch - LOWEST)
        else:
            tokens.append(VOCABULARY.index(HELD if place < sounding_to else REST))
    return tokens


def score_of(melodies: Sequence[Sequence[str]], grid: int) -> Any:
    """A score of melodies one after the other, a whole rest between; a music21 stream, whose ``write("midi", path)`` writes it.

    Args:
        melodies: tokens of each, from ``VOCABULARY``; anything else counts as a rest.
        grid: places of a quarter note.
    """
    music21 = _music21()
    part = music21.stream.Part()
    for tokens in melodies:
        for token, places in _runs(tokens):
            note = music21.note.Note(token.replace("b", "-")) if token != REST else music21.note.Rest()
            note.quarterLength = places / grid
            part.append(note)
        part.append(music21.note.Rest(quarterLength=4))
    return part


def score_of_abc(tunes: Sequence[str]) -> Any:
    """A score of tunes in ABC notation, one after the other, a whole rest between; those that music21 cannot read are left out and told.

    Raises:
        UsageError: if it can read none.
    """
    music21 = _music21()
    part, unread = music21.stream.Part(), []
    for number, tune in enumerate(tunes, 1):
        try:
            found = [*music21.converter.parseData(tune, format="abc").flatten().notesAndRests]
        except Exception:  # what a model writes need not be music
            unread.append(str(number))
            continue
        for note in found:
            part.append(note)
        part.append(music21.note.Rest(quarterLength=4))
    if len(unread) == len(tunes):
        raise UsageError("None of these tunes is music that can be played. Write them as .abc, or train for longer.")
    if unread:
        log.warning(f"{len(unread)} of {len(tunes)} tunes are no music that can be played, and were left out: {', '.join(unread)}.")
    return part


def _runs(tokens: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Every note or rest with how many places it takes.

    >>> list(_runs(["C4", "-", "r", "r", "D4"]))
    [('C4', 2), ('r', 2), ('D4', 1)]
    """
    sounding, places = "", 0
    for token in tokens:
        heard = token if token in VOCABULARY[FIRST:] else sounding or REST if token == HELD else REST
        if places and (heard != sounding or token not in (HELD, REST)):
            yield sounding, places
            places = 0
        sounding, places = heard, places + 1
    if places:
        yield sounding, places


def shifted(tokens: Tensor, semitones: Tensor) -> Tensor:
    """Melodies higher by so many semitones; a note that would leave the keyboard goes an octave back.

    Args:
        tokens: int64 [n, t].
        semitones: int64 [n], from -12 to 12.
    Returns:
        int64 [n, t].
    """
    moved = tokens + semitones[:, None]
    moved = torch.where(moved < FIRST, moved + 12, moved)
    moved = torch.where(moved >= len(VOCABULARY), moved - 12, moved)
    return torch.where(tokens >= FIRST, moved, tokens)


def _music21() -> Any:
    try:
        import music21
    except ImportError as error:
        raise UsageError(f"Scores need music21, which cannot be imported ({error}). Install it: pip install 'saddlepoint[music]'.") from error
    return music21
