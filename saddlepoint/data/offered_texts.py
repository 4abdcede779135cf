"""Sequences to fetch: Chinese quatrains, English phrases, Irish and American tunes, a bacterium's genome.

They are kept as plain text, FASTA and ABC, and read by the readers of such files: chars:, text:, abc: and fasta: read them with other options too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.dna import open_fasta
from saddlepoint.data.fetching import Package, Show, members
from saddlepoint.data.offered_pictures import card_of
from saddlepoint.data.offers import Offer, offer, place_of
from saddlepoint.data.registry import Request, source
from saddlepoint.data.sequences import open_sequences
from saddlepoint.data.vocabulary import TOKENISERS

IDEOGRAPHS = re.compile(r"[㐀-鿿]+")
MARKS = re.compile("[，。！？；、：]")
EXAMPLE = re.compile(r'"([^"]{8,})"')
TUNES = ("ryansMammoth", "oneills1850")
GENOME = "NC_008253.fna.gz"


def _text_source(name: str, title: str, shape: tuple[int, ...], count: int, made: Offer, file: str, reader: str, options: str = "") -> None:
    """Register a source that is a text file, read as behind the prefix ``reader``."""

    @source(card_of(name, title, shape, count, made, "sequence"))
    def opener(request: Request) -> ArrayDataset:
        place = f"{place_of(request, made.name) / file}{options}"
        return open_fasta(place, request) if reader == "fasta" else open_sequences(place, request, TOKENISERS[reader])


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


# -- quatrains of the Tang ------------------------------------------------------------------------------------------------------------------


def quatrain(paragraphs: list[str]) -> str | None:
    """A poem as one word, if it is four lines of five, or of seven, Chinese characters."""
    lines = [line for line in MARKS.split("".join(paragraphs)) if line]
    if len(lines) != 4 or {*map(len, lines)} not in ({5}, {7}) or not all(IDEOGRAPHS.fullmatch(line) for line in lines):
        return None
    return "".join(lines)


def build_quatrains(file: Path, out: Path, show: Show | None) -> None:
    """five.txt and seven.txt: a poem a line, without marks; copies are left out."""
    poems: dict[str, None] = {}
    wanted = re.compile(r"package/dist/quantangshi/(?:.*/)?poet\.tang\.(\d+)\.json")
    books = sorted(members(file, lambda name: wanted.fullmatch(name) is not None), key=lambda book: int(wanted.fullmatch(book[0])[1]))  # type: ignore[index]
    for done, (_, data) in enumerate(books, 1):
        poems |= dict.fromkeys(poem for entry in json.loads(data) if (poem := quatrain(entry["paragraphs"])))
        if show is not None:
            show(done, len(books))
    for name, length in (("five", 20), ("seven", 28)):
        _write(out / f"{name}.txt", (poem for poem in poems if len(poem) == length))


QUATRAINS = offer(
    Offer(
        name="quatrains",
        title="Chinese quatrains of the Tang, in five and in seven characters a line",
        package=Package(
            registry="npm",
            name="chinese-poetry",
            version="2.0.1",
            file="chinese-poetry-2.0.1.tgz",
            size=85_464_664,
            sha256="25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86",
        ),
        licence="MIT",
        credits="the contributors of chinese-poetry (Quan Tangshi, 1705)",
        sources=("quatrains-5", "quatrains-7"),
        build=build_quatrains,
    )
)
_text_source("quatrains-5", "Chinese quatrains of five characters a line", (20,), 3785, QUATRAINS, "five.txt", "chars")
_text_source("quatrains-7", "Chinese quatrains of seven characters a line", (28,), 10342, QUATRAINS, "seven.txt", "chars")


# -- phrases of WordNet -------------------------------------------------------------------------------------------------------------------------


def build_phrases(file: Path, out: Path, show: Show | None) -> None:
    """phrases.txt: the examples of use that stand in quotes behind the meanings of words; copies are left out."""
    phrases: dict[str, None] = {}
    books = [f"data.{part}" for part in ("noun", "verb", "adj", "adv")]
    for name, data in sorted(members(file, lambda name: PurePosixPath(name).name in books)):
        for line in data.decode("latin-1").splitlines():
            if not line.startswith("  "):
                phrases |= dict.fromkeys(" ".join(found.split()) for found in EXAMPLE.findall(line.partition("|")[2]))
        if show is not None:
            show(books.index(PurePosixPath(name).name) + 1, len(books))
    _write(out / "phrases.txt", phrases)


PHRASES = offer(
    Offer(
        name="phrases",
        title="English phrases and short sentences: the examples of WordNet",
        package=Package(
            registry="debian",
            name="wordnet-base",
            version="1:3.0-37",
            file="pool/main/w/wordnet/wordnet-base_3.0-37_all.deb",
            size=6_467_132,
            sha256="61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
        ),
        licence="WordNet 3.0 licence (permissive)",
        credits="Princeton University (WordNet)",
        sources=("phrases",),
        build=build_phrases,
    )
)
_text_source("phrases", "English phrases of up to 20 words", (20,), 48074, PHRASES, "phrases.txt", "text", "?length=20&min_count=5")


# -- tunes ------------------------------------------------------------------------------------------------------------------------------------


def build_tunes(file: Path, out: Path, show: Show | None) -> None:
    """tunes.abc: the tunes of two collections one after the other, as they stand in the package."""

    def wanted(name: str) -> bool:
        return name.endswith(".abc") and any(f"/corpus/{book}/" in name for book in TUNES)

    tunes: list[str] = []
    found = sorted(members(file, wanted))
    for done, (_, data) in enumerate(found, 1):
        text = data.decode("latin-1").replace("\r", "")
        tunes += [tune.rstrip() for tune in re.split(r"(?=^X:)", text, flags=re.MULTILINE) if tune.startswith("X:")]
        if show is not None:
            show(done, len(found))
    numbered = (re.sub(r"^X:.*", f"X:{number}", tune, count=1) for number, tune in enumerate(tunes, 1))
    (out / "tunes.abc").write_text("\n\n".join(numbered) + "\n", encoding="latin-1")


MUSIC = offer(
    Offer(
        name="tunes",
        title="Irish and American fiddle tunes in ABC notation: O'Neill's and Ryan's collections",
        package=Package(
            registry="pip",
            name="music21",
            version="10.5.1",
            file="music21-10.5.1-py3-none-any.whl",
            size=20_118_992,
            sha256="dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1",
        ),
        licence="BSD-3-Clause (the package); the tunes are in the public domain, their encodings under their authors' terms",
        credits="F. O'Neill 1903 and W. B. Ryan 1883 (collections), their transcribers, Michael Scott Asato Cuthbert (music21)",
        sources=("tunes",),
        build=build_tunes,
    )
)
_text_source("tunes", "Fiddle tunes in ABC notation, of up to 256 notes, bars and marks", (256,), 2996, MUSIC, "tunes.abc", "abc", "?length=256")


# -- a genome -----------------------------------------------------------------------------------------------------------------------------------


def build_genome(file: Path, out: Path, show: Show | None) -> None:
    """genome.fna.gz, as it stands in the package."""
    for _, data in members(file, lambda name: PurePosixPath(name).name == GENOME):
        (out / "genome.fna.gz").write_bytes(data)


ECOLI = offer(
    Offer(
        name="ecoli",
        title="The genome of a bacterium, Escherichia coli 536: 4.9 million letters",
        package=Package(
            registry="debian",
            name="bowtie-examples",
            version="1.3.1-1",
            file="pool/main/b/bowtie/bowtie-examples_1.3.1-1_all.deb",
            size=6_307_264,
            sha256="3cec5c9f6460ea2236cf3d2688665328ab18d90eb2f8eaa0183dd1cd05c212ee",
        ),
        licence="the sequence is public (GenBank NC_008253); Artistic-2.0 (the package)",
        credits="E. Brzuszkiewicz and others 2006 (the genome), Ben Langmead (Bowtie)",
        sources=("ecoli",),
        build=build_genome,
    )
)
_text_source("ecoli", "Windows of 64 letters of the genome of Escherichia coli", (64,), 77170, ECOLI, "genome.fna.gz", "fasta", "?length=64")
