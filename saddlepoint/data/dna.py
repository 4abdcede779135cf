"""Windows of DNA, RNA and proteins: ``fasta:FILE?length=64&step=64&alphabet=dna&strands=1``.

FILE is FASTA, plain or gzipped. A record is ``length`` letters; the next begins ``step`` letters later (a length, where nothing is said). Small
letters are read as large ones. A window with a letter outside the alphabet (N, for one) gives no record. ``strands=2`` adds the reverse complement
of every window. Without ``length``, sequences of one length are the records.

Axes: n records, t letters, p all letters.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.folder import MIN_IMAGES
from saddlepoint.data.options import read_options
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import Request
from saddlepoint.data.vocabulary import END, NAMED
from saddlepoint.data.windows import Windows
from saddlepoint.errors import DataError, UsageError

ALPHABETS = {"dna": "ACGT", "rna": "ACGU", "protein": "ACDEFGHIKLMNPQRSTVWY"}
PAIRED = {"dna": "TGCA", "rna": "UGCA"}  # the complement of each letter of those alphabets
DEFAULTS: dict[str, int | str] = {"length": 0, "step": 0, "alphabet": "dna", "strands": 1}
LONGEST = 4096  # sequences of one length up to this are records without being asked for

Letters = NDArray[np.uint8]


def open_fasta(place: str, request: Request) -> ArrayDataset:
    """The windows of a FASTA file, see the module.

    Returns:
        Records of "tokens", int64 [t]: 0 is the boundary of all vocabularies, 1 the first letter of the alphabet.
    Raises:
        DataError: a file that is missing, no FASTA, empty, or too short.
        UsageError: for options that there are not, or a resolution.
    """
    if request.resolution is not None or request.channels is not None:
        raise UsageError(f"{request.name} holds sequences, which have no resolution and no channels. Leave those settings out.")
    file, options = read_options(place, DEFAULTS)
    alphabet, strands = str(options["alphabet"]), int(options["strands"])
    if alphabet not in ALPHABETS or strands > 2 or (strands == 2 and alphabet not in PAIRED):
        raise UsageError(f"alphabet is one of {', '.join(ALPHABETS)}, and strands is 1, or 2 of dna and rna; {alphabet} and {strands} came.")
    sequences = list(read_fasta(Path(file).expanduser()))
    length = int(options["length"]) or _own_length(file, [len(letters) for _, letters in sequences])
    parts = _numbers(np.concatenate([letters for _, letters in sequences]), alphabet)
    ends = np.cumsum([len(letters) for _, letters in sequences])
    starts, lost = _starts(parts, ends, length, int(options["step"]) or length)
    if len(starts) < MIN_IMAGES:
        raise DataError(
            f"{file} gives {len(starts)} windows of {length} letters of {alphabet}; training needs at least {MIN_IMAGES}. Its longest sequence has "
            f"{max(len(letters) for _, letters in sequences)} letters, and {lost} windows hold others than {ALPHABETS[alphabet]}."
        )
    notes = _notes(file, sequences, lost, length, alphabet)
    values: Any = _windows(parts, starts, length, PAIRED.get(alphabet, "") if strands == 2 else "", ALPHABETS[alphabet])
    digest = hashlib.sha256(parts.tobytes() + starts.tobytes() + f"{length} {strands}".encode()).hexdigest()[:16]
    spec = DataSpec(
        name=request.name,
        kind="sequence",
        shape=(length,),
        num_records=len(values),
        content_hash=digest,
        fields=("tokens",),
        vocabulary=(END, *ALPHABETS[alphabet]),
    )
    names = [sequences[row][0] for row in np.searchsorted(ends, starts, side="right")] * strands
    return ArrayDataset({"tokens": values}, spec, names=names, notes=notes)


def read_fasta(path: Path) -> Iterator[tuple[str, Letters]]:
    """Name and letters (large, ASCII) of each sequence of a FASTA file, plain or gzipped.

    Raises:
        DataError: for what is missing or no such file.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}. Check the path; sequences of DNA are read from one FASTA file.")
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be unpacked ({error}). Fetch it again.") from error
    if not content.lstrip().startswith(b">"):
        raise DataError(f"{path} is no FASTA file: its first line should begin with >, followed by the name of a sequence.")
    for part in (b"\n" + content.lstrip()).replace(b"\r", b"\n").split(b"\n>")[1:]:
        name, _, letters = part.partition(b"\n")
        text = b"".join(letters.split()).upper().rstrip(b"*")
        if text:
            yield name.decode("utf-8", "replace").strip(), np.frombuffer(text, np.uint8)


def _own_length(file: str, lengths: list[int]) -> int:
    if not lengths:
        raise DataError(f"{file} holds names but no letters. Give a FASTA file with sequences.")
    if len(set(lengths)) > 1 or lengths[0] > LONGEST:
        raise DataError(
            f"{file} holds {len(lengths)} sequences of {min(lengths)} to {max(lengths)} letters. Say how long a record is to be: "
            f"fasta:{file}?length=64."
        )
    return lengths[0]


def _numbers(letters: Letters, alphabet: str) -> Letters:
    """1 for the first letter of the alphabet and so on, 0 for all others."""
    table = np.zeros(256, np.uint8)
    for number, letter in enumerate(ALPHABETS[alphabet], 1):
        table[ord(letter)] = number
    return table[letters]


def _starts(parts: Letters, ends: NDArray[np.int64], length: int, step: int) -> tuple[NDArray[np.int64], int]:
    """Where windows begin, and how many were left out for a letter that is not known."""
    firsts = np.concatenate([[0], ends[:-1]])
    starts = np.concatenate([np.arange(first, end - length + 1, step) for first, end in zip(firsts, ends, strict=True)]).astype(np.int64)
    unknown = np.concatenate([[0], np.cumsum(parts == 0)])
    clean = unknown[starts + length] == unknown[starts]
    return starts[clean], int((~clean).sum())


def _windows(parts: Letters, starts: NDArray[np.int64], length: int, paired: str, letters: str) -> Windows:
    """The windows; with complements, those of the other strand behind all others."""
    forward = torch.from_numpy(starts)
    if not paired:
        return Windows(torch.from_numpy(parts), forward, length, (length,), Tensor.long)
    complement = np.array([0, *(1 + letters.index(letter) for letter in paired)], np.uint8)
    both = torch.from_numpy(np.concatenate([parts, complement[parts[::-1]]]))
    return Windows(both, torch.cat([forward, len(both) - forward - length]), length, (length,), Tensor.long)


def _notes(file: str, sequences: list[tuple[str, Letters]], lost: int, length: int, alphabet: str) -> list[str]:
    notes = [f"{lost} windows of {file} hold letters other than {ALPHABETS[alphabet]} and were left out."] if lost else []
    short = [name for name, letters in sequences if len(letters) < length]
    if short:
        notes.append(f"{len(short)} of the {len(sequences)} sequences of {file} are shorter than {length} letters: {', '.join(short[:NAMED])}.")
    if lost and alphabet == "dna":
        found = Counter(chr(letter) for _, letters in sequences for letter in np.unique(letters).tolist() if chr(letter) not in "ACGT")
        notes.append(f"Those letters are {', '.join(sorted(found))}; of RNA write alphabet=rna, of proteins alphabet=protein.")
    return notes
