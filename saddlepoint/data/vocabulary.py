"""Tokens and their numbers, and how text is cut into tokens and put together again.

Number 0 is always the boundary ``<end>``: every sequence is thought to begin behind it, ends with it where it is shorter than the longest, and is
filled up with it. So one token does what <bos>, <eos> and <pad> do elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.data.abc_notation import tokens_of, transposed, tunes_of
from saddlepoint.errors import DataError, UsageError

END, UNKNOWN = "<end>", "<unk>"
NAMED = 3  # examples in a message


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text that are not blank, with their numbers from 1."""
    return ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip())


@dataclass(frozen=True, kw_only=True)
class Tokeniser:
    """How the text of a file becomes sequences of tokens, and tokens text.

    Attributes:
        name: the prefix of a data string, "text" in text:FILE.
        unit: what a token is, in the plural.
        split: text of a record -> its tokens.
        join: tokens -> text.
        records: text of a file -> (number of the line where it begins, text) of each record.
        suffixes: of the files that are read of a folder.
        encoding: of files.
        transposed: tokens higher by so many semitones; None of what is no music.
    """

    name: str
    unit: str
    split: Callable[[str], list[str]]
    join: Callable[[Sequence[str]], str]
    records: Callable[[str], Iterator[tuple[int, str]]] = lines_of
    suffixes: tuple[str, ...] = (".txt",)
    encoding: str = "utf-8-sig"
    transposed: Callable[[Sequence[str], int], list[str]] | None = None


TOKENISERS: dict[str, Tokeniser] = {
    "text": Tokeniser(name="text", unit="words", split=str.split, join=" ".join),
    "chars": Tokeniser(name="chars", unit="characters", split=list, join="".join),
    "abc": Tokeniser(
        name="abc",
        unit="notes, bars and marks",
        split=tokens_of,
        join=" ".join,
        records=tunes_of,
        suffixes=(".abc",),
        encoding="latin-1",  # of many old collections; the notes are ASCII
        transposed=transposed,
    ),
}


def tokeniser_of(name: str, vocabulary: Sequence[str]) -> Tokeniser:
    """The tokeniser of a data string by its prefix; of what has none, characters where every token is one, and words otherwise."""
    letters = all(len(token) == 1 for token in vocabulary if token not in (END, UNKNOWN))
    return TOKENISERS.get(name.partition(":")[0], TOKENISERS["chars" if letters else "text"])


def make_vocabulary(sequences: Sequence[Sequence[str]], min_count: int = 1) -> tuple[str, ...]:
    """The boundary, the mark of unknown tokens if there will be any, and all tokens from the commonest on, equal counts by the alphabet.

    Args:
        sequences: tokens of each record.
        min_count: tokens that are rarer are unknown.
    Raises:
        DataError: if a token of the data is one of the two marks.

    >>> make_vocabulary([["a", "rose", "is", "a", "rose"]], min_count=2)
    ('<end>', '<unk>', 'a', 'rose')
    """
    counts = Counter(token for sequence in sequences for token in sequence)
    if taken := [mark for mark in (END, UNKNOWN) if counts[mark]]:
        raise DataError(
            f"The text holds the word {taken[0]}, which marks {'an end' if taken[0] == END else 'unknown words'} here. Write another one."
        )
    kept = sorted((token for token, count in counts.items() if count >= min_count), key=lambda token: (-counts[token], token))
    return (END, *([UNKNOWN] if len(kept) < len(counts) else []), *kept)


def encode(sequences: Sequence[Sequence[str]], vocabulary: Sequence[str], length: int, *, where: Sequence[int] = ()) -> Tensor:
    """Numbers of tokens, int64 [n, length], filled up with the boundary.

    Args:
        sequences: tokens of each record, at most ``length``.
        vocabulary: as of :func:`make_vocabulary`.
        length: T.
        where: the line of each record, for the message.
    Raises:
        DataError: for a token that the vocabulary misses and a vocabulary without the mark of unknown ones.
        UsageError: for a sequence that is longer.
    """
    numbers = {token: number for number, token in enumerate(vocabulary)}
    missed = [(index, token) for index, sequence in enumerate(sequences) for token in sequence if token not in numbers]
    if missed and UNKNOWN not in numbers:
        first = ", ".join(repr(token) + (f" in line {where[index]}" if where else "") for index, token in missed[:NAMED])
        raise DataError(
            f"{len(missed)} tokens are not among the {len(vocabulary)} of the vocabulary: {first}{', ...' if len(missed) > NAMED else ''}. "
            "Leave those sequences out, or train anew on data with all tokens, or with min_count=2, which keeps a place for unknown ones."
        )
    if longest := max((len(sequence) for sequence in sequences if len(sequence) > length), default=0):
        raise UsageError(f"Sequences have at most {length} tokens here; one of {longest} came. Cut it, or train anew with more.")
    tokens = torch.zeros(len(sequences), length, dtype=torch.int64)
    unknown = numbers.get(UNKNOWN, 0)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor([numbers.get(token, unknown) for token in sequence], dtype=torch.int64)
    return tokens


def decode(tokens: Tensor, vocabulary: Sequence[str]) -> list[list[str]]:
    """The tokens of each row of int64 [n, t], up to the first boundary where the vocabulary has one."""
    bounded = bool(vocabulary) and vocabulary[0] == END
    rows = [row[: row.index(0)] if bounded and 0 in row else row for row in tokens.tolist()]
    return [[vocabulary[number] for number in row] for row in rows]
