"""Sequences from text files: one record a line, tokens as numbers of a vocabulary that stays with the run.

    text:FILE                           words, cut at white space
    chars:FILE                          characters
    abc:FILE                            tunes in ABC notation
    text:FILE?length=20&min_count=2     at most 20 tokens a record, longer ones left out; tokens seen once are unknown
    chars:FILE?cut=32                   longer records are cut into records of 32 tokens, and what is left of each
    abc:FILE?transpose=5                each tune also up to 5 semitones higher and lower, for ``--augment-data transpose``

FILE may be a folder: its .txt files (.abc files of tunes) are read one after the other, in the order of their names.
Other ways to read a file are entries of :data:`saddlepoint.data.vocabulary.TOKENISERS`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.options import read_options
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import Request
from saddlepoint.data.vocabulary import NAMED, Tokeniser, encode, make_vocabulary
from saddlepoint.errors import DataError, UsageError

LEAST = 2  # tokens of the longest record


def open_sequences(place: str, request: Request, tokeniser: Tokeniser) -> ArrayDataset:
    """Read a text file.

    Args:
        place: what stands behind the prefix: the file, and options.
        request: its name; sequences have no resolution and no channels.
        tokeniser: how it is read.
    Returns:
        Records of "tokens", int64 [T]; shorter ones are filled up with the boundary, number 0 of the vocabulary.
    Raises:
        DataError: for a file that is missing, not UTF-8, empty, or of records too short to learn from.
        UsageError: for an unknown option, or a resolution.
    """
    if request.resolution is not None or request.channels is not None:
        raise UsageError(
            f"{request.name} holds sequences, which have no resolution and no channels. Leave those settings out, or choose a recipe for sequences: "
            "sequence-mle, pg-bleu, seqgan, maligan, wgan-gp-language."
        )
    file, options = read_options(place, {"length": 0, "min_count": 1, "cut": 0} | ({"transpose": 0} if tokeniser.transposed else {}))
    limit, min_count, cut = (int(options[name]) for name in ("length", "min_count", "cut"))
    if cut and limit:
        raise UsageError(f"length leaves longer sequences out, cut makes them into several; {request.name} asks for both. Choose one.")
    text = "\n".join(_text(path, tokeniser.encoding) for path in _files(Path(file).expanduser(), tokeniser))
    records = [(line, tokeniser.split(record)) for line, record in tokeniser.records(text)]
    records = [(line, piece) for line, tokens in records for piece in _pieces(tokens, cut) if piece]
    kept = [(line, tokens) for line, tokens in records if not limit or len(tokens) <= limit]
    sequences, where = [tokens for _, tokens in kept], [line for line, _ in kept]
    longest = max(map(len, sequences), default=0)
    if longest < LEAST:
        raise DataError(_too_short(file, tokeniser, len(records), longest, limit))
    length = limit or longest
    keys = [each for k in range(1, int(options.get("transpose", 0)) + 1) for each in (k, -k)]
    moved = [tokeniser.transposed(tokens, k) for tokens in sequences for k in keys] if tokeniser.transposed else []
    vocabulary = make_vocabulary([*sequences, *moved], min_count)
    fields = {"tokens": encode(sequences, vocabulary, length, where=where)}
    if moved:
        fields["transposed"] = encode(moved, vocabulary, length).view(len(sequences), len(keys), length)
    digest = hashlib.sha256(f"{content_hash(fields)} {vocabulary}".encode()).hexdigest()[:16]
    spec = DataSpec(
        name=request.name,
        kind="sequence",
        shape=(length,),
        num_records=len(sequences),
        content_hash=digest,
        fields=tuple(fields),
        shapes={name: tuple(values.shape[1:]) for name, values in fields.items() if name != "tokens"},
        vocabulary=vocabulary,
    )
    return ArrayDataset(fields, spec, notes=_notes(records, sequences, vocabulary, length, tokeniser))


def _files(path: Path, tokeniser: Tokeniser) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in tokeniser.suffixes and file.is_file())
    if not found:
        what = f"no {' or '.join(tokeniser.suffixes)} file in" if path.is_dir() else "no file"
        raise DataError(
            f"There is {what} {path}. Check the path; sequences are read from text, such as {tokeniser.name}:FILE{tokeniser.suffixes[0]}."
        )
    return found


def _pieces(tokens: list[str], cut: int) -> list[list[str]]:
    return [tokens[start : start + cut] for start in range(0, len(tokens), cut)] if cut else [tokens]


def _text(path: Path, encoding: str) -> str:
    content = path.read_bytes()
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8 text: byte 0x{content[error.start]:02x} in line {line}. Convert it, for example by `iconv -f latin1 -t utf-8`."
        ) from None


def _too_short(file: str, tokeniser: Tokeniser, records: int, longest: int, limit: int) -> str:
    if not records:
        return f"{file} holds no {tokeniser.unit}. Give a text file with one sequence a line."
    if limit and not longest:
        return f"All {records} sequences of {file} are longer than {limit} {tokeniser.unit}. Raise length, or leave it out."
    return f"The sequences of {file} have at most {longest} of the {tokeniser.unit} that are their tokens; at least {LEAST} are needed."


def _notes(
    records: list[tuple[int, list[str]]], sequences: list[list[str]], vocabulary: tuple[str, ...], length: int, tokeniser: Tokeniser
) -> list[str]:
    """What was left out, filled up or made unknown, with counts and first examples."""
    notes = []
    if long := [(line, len(tokens)) for line, tokens in records if len(tokens) > length]:
        first = ", ".join(f"line {line} ({count})" for line, count in long[:NAMED])
        notes.append(f"{len(long)} of {len(records)} sequences are longer than {length} {tokeniser.unit} and were left out: {first}.")
    if short := sum(len(tokens) < length for tokens in sequences):
        notes.append(f"{short} of {len(sequences)} sequences are shorter than {length} {tokeniser.unit}; their end is marked, and counts as a token.")
    known = set(vocabulary)
    if rare := [token for tokens in sequences for token in tokens if token not in known]:
        share = len(rare) / sum(map(len, sequences))
        first = ", ".join(map(repr, dict.fromkeys(rare[:NAMED])))
        notes.append(f"{len(rare)} {tokeniser.unit} ({share:.1%}) are too rare to have a number and stand as <unk>: {first}.")
    return notes
