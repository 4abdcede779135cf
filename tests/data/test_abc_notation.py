"""Tunes as tokens, and in other keys; music21 reads both for comparison."""

from __future__ import annotations

import pytest

from saddlepoint.data.abc_notation import text_of, tokens_of, transposed, tunes_of
from saddlepoint.errors import UsageError

TUNE = """X:7
T:A jig
R:jig
M:6/8
L:1/8
K:Ador
|: "Am"~A2 e (edB) | {c}d2-d ^G,>B c' | (3efg z2 :|
K:D % a change
[1 [FA]2 =c _B/ |]
w:la la
"""


def pitches(tune: str) -> list[int]:
    converter = pytest.importorskip("music21").converter
    return [note.pitch.midi for note in converter.parseData(tune, format="abc").recurse().notes for note in getattr(note, "notes", [note])]


def test_what_sounds_is_kept_and_nothing_else() -> None:
    wanted = "M:6/8 L:1/8 K:Ador |: A2 e e d B | d2 - d ^G, > B c' | (3 e f g z2 :| [K:D] [1 [FA]2 =c _B/ |]"
    assert tokens_of(TUNE) == wanted.split()
    assert tokens_of(text_of(tokens_of(TUNE), 3)) == wanted.split()
    assert tokens_of("X:1\nT:no notes\nK:C\n|: z4 :|\n") == []
    assert tokens_of("X:1\nABc\n") == []  # no key: the header does not end


def test_files_hold_many_tunes() -> None:
    found = list(tunes_of("% a book\n\n" + TUNE + "\n" + TUNE.replace("X:7", "X:8")))
    assert [line for line, _ in found] == [3, 14]
    assert tokens_of(found[0][1]) == tokens_of(found[1][1])


@pytest.mark.parametrize("semitones", [-7, -5, -1, 1, 3, 6, 12])
@pytest.mark.parametrize("key", ["C", "F#m", "Bb", "Ddorian", "Emix", "Gm"])
def test_every_pitch_moves_by_the_interval(key: str, semitones: int) -> None:
    tokens = f"M:4/4 L:1/8 K:{key} C ^D _E, =F g' | A B c ^^f __b, =e".split()
    before, after = (pitches(text_of(each)) for each in (tokens, transposed(tokens, semitones)))
    assert [high - low for low, high in zip(before, after, strict=True)] == [semitones] * len(before)


def test_there_and_back_is_the_same_tune() -> None:
    tokens = tokens_of(TUNE)
    assert transposed(transposed(tokens, 5), -5) == tokens
    assert transposed(tokens, 0) == tokens


def test_a_key_that_is_none() -> None:
    with pytest.raises(UsageError, match="K:Xyz is no key"):
        transposed(["K:Xyz", "A"], 1)
