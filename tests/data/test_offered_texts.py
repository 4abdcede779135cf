"""Sequences that are fetched, from small packages made here."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import torch

from saddlepoint.data.offered_texts import quatrain
from saddlepoint.data.offers import OFFERS, get
from saddlepoint.data.sources import open_data
from saddlepoint.data.vocabulary import decode

FIVE = ["白日依山盡，黃河入海流。", "欲窮千里目，更上一層樓。"]
SEVEN = ["朝辭白帝彩雲間，千里江陵一日還。", "兩岸猿聲啼不住，輕舟已過萬重山。"]


def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, contents: dict[str, bytes]) -> Path:
    """The set of an offer, made of a package with these contents."""
    path = tmp_path / f"{name}.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in contents.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    package = dataclasses.replace(OFFERS[name].package, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(OFFERS, name, dataclasses.replace(OFFERS[name], package=package))
    return get(name, source=path)


def test_a_quatrain_has_four_lines_of_equal_length() -> None:
    assert quatrain(FIVE) == "白日依山盡黃河入海流欲窮千里目更上一層樓"
    assert quatrain(SEVEN) is not None
    assert quatrain(FIVE[:1]) is None
    assert quatrain([FIVE[0], SEVEN[0]]) is None
    assert quatrain([FIVE[0], "欲窮千里目，更上一□樓。"]) is None


def test_quatrains_are_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def book(*poems: list[str]) -> bytes:
        return json.dumps([{"paragraphs": poem, "author": "a", "title": "t"} for poem in poems]).encode()

    other = [line.replace("千", "百") for line in SEVEN]
    contents = {
        "package/dist/quantangshi/json/poet.tang.1000.json": book(other, FIVE),
        "package/dist/quantangshi/json/poet.tang.0.json": book(SEVEN, FIVE, ["散句。"], SEVEN),
        "package/dist/quantangshi/json/poet.song.0.json": book([line.replace("一", "二") for line in SEVEN]),
    }
    place = fetched(tmp_path, monkeypatch, "quatrains", contents)
    data = open_data("quatrains-7")
    assert (len(data), data.spec.shape, data.spec.kind) == (2, (28,), "sequence")
    assert "".join(decode(data.records(torch.tensor([0]))["tokens"], data.spec.vocabulary)[0]) == quatrain(SEVEN)
    assert (place / "five.txt").read_text("utf-8").splitlines() == [quatrain(FIVE)]


def test_phrases_are_the_examples_of_wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    licence = '  1 This software "is provided as it is" | "and this too, in the licence"\n'
    noun = '0001 03 n 01 dog 0 | an animal; "the dog barked all night"; "he called his  dog"\n0002 03 n 01 cat 0 | "short"; "the cat slept all day"\n'
    verb = '0003 30 v 01 bark 0 | make a sound; "the dog barked all night"\n'
    contents = {"usr/share/wordnet/data.noun": (licence + 4 * noun).encode(), "usr/share/wordnet/data.verb": verb.encode()}
    place = fetched(tmp_path, monkeypatch, "phrases", contents)
    assert (place / "phrases.txt").read_text().splitlines() == ["the dog barked all night", "he called his dog", "the cat slept all day"]


def test_tunes_of_both_books_are_numbered_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {
        "music21/corpus/ryansMammoth/a.abc": b"X:7\r\nT:Caf\xe9\r\nK:D\r\nDEF|\r\n",
        "music21/corpus/oneills1850/b.abc": b"% head\nX:1\nK:G\nGAB|\n\nX: 2\nK:A\nABc|\n",
        "music21/corpus/essenFolksong/c.abc": b"X:1\nK:C\nCCC|\n",
    }
    place = fetched(tmp_path, monkeypatch, "tunes", contents)
    text = (place / "tunes.abc").read_text("latin-1")
    assert text == "X:1\nK:G\nGAB|\n\nX:2\nK:A\nABc|\n\nX:3\nT:Café\nK:D\nDEF|\n"


def test_the_genome_is_read_in_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = "ACGT" * 50
    genome = gzip.compress(f">NC_008253 a genome\n{letters}\n".encode())
    fetched(tmp_path, monkeypatch, "ecoli", {"./usr/share/doc/bowtie/examples/genomes/NC_008253.fna.gz": genome})
    data = open_data("ecoli")
    assert (len(data), data.spec.shape) == (3, (64,))
    assert "".join(decode(data.records(torch.tensor([0]))["tokens"], data.spec.vocabulary)[0]) == letters[:64]
