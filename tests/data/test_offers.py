"""Sets that are fetched: what is on offer, and how one is built, kept and opened, on small packages made here."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import sys
import tarfile
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import saddlepoint.data.offered
from saddlepoint.cli.main import main
from saddlepoint.data.offered_emoji import MODIFIERS, TONES
from saddlepoint.data.offered_pictures import drawing
from saddlepoint.data.offered_torchvision import ORIGINALS, original_is_there
from saddlepoint.data.offers import OFFERS, ORIGIN, get, offer, offer_of
from saddlepoint.data.registry import SOURCES
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="4" height="8" fill="{}"/></svg>'


def packed(path: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def standing_in(monkeypatch: pytest.MonkeyPatch, name: str, file: Path) -> Path:
    """Let the offer be of this file."""
    package = dataclasses.replace(OFFERS[name].package, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setitem(OFFERS, name, dataclasses.replace(OFFERS[name], package=package))
    return file


def png(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A maker's package: a grinning face without tones, and ten emoji with all six, each in a colour of its own."""
    entries, contents = [], {}
    for number in range(11):
        file = f"{number}.png"
        code = "1F600" if number == 0 else f"{0x1F680 + number:X}"
        entry = {"image": file, "unified": code, "name": f"EMOJI {number}", "short_names": ["x"], "category": "G", "sort_order": number}
        contents[f"package/img/maker/64/{file}"] = png((number, 0, 0))
        if number:
            entry["skin_variations"] = {each: {"image": f"{number}-{each}.png"} for each in MODIFIERS}
            contents |= {f"package/img/maker/64/{number}-{each}.png": png((number, 1 + tone, 0)) for tone, each in enumerate(MODIFIERS)}
        entries.append(entry)
    contents["package/emoji.json"] = json.dumps(entries).encode()
    return packed(tmp_path / "maker.tgz", contents)


def test_every_offer_is_whole() -> None:
    for name, each in OFFERS.items():
        assert each.name == name
        assert all((each.title, each.licence, each.credits, each.package.version, each.package.size))
        assert len(each.package.sha256) == 64
        assert set(each.sources) <= set(SOURCES)
        assert not any(SOURCES[source][0].shipped for source in each.sources)
        assert offer_of(each.sources[-1] if each.sources else each.name) is each
        assert bool(each.sources) != bool(each.use)
    assert [each["name"] for each in saddlepoint.data.offered.list_offers()] == sorted([*OFFERS, *ORIGINALS])


@pytest.mark.parametrize("name", sorted({source for each in OFFERS.values() for source in each.sources}))
def test_a_set_that_is_not_there_names_the_command(name: str, tmp_path: Path) -> None:
    own = offer_of(name).name
    with pytest.raises(DataError, match=rf"is not in .*or not whole. Fetch it once.*: saddlepoint data get {own}") as found:
        open_data(name)
    assert "\n" not in str(found.value)
    with pytest.raises(DataError, match=rf"saddlepoint data get {own} --root {tmp_path}"):
        open_data(name, root=tmp_path)


def test_icons_are_pairs_of_two_styles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {name: {"category": name[0], "tags": ["t", 5]} for name in ("ab", "ac", "b", "only")}
    contents = {"package/icons.json": json.dumps(table).encode()}
    for name in table:
        contents[f"package/icons/outline/{name}.svg"] = SVG.format("#808080").encode()
        if name != "only":
            contents[f"package/icons/filled/{name}.svg"] = SVG.format("#000000").encode()
    file = standing_in(monkeypatch, "icons", packed(tmp_path / "icons.tgz", contents))
    place = get("icons", source=file)
    data = open_data("icons")
    rows = data.records(torch.arange(3))
    assert data.names == ("ab", "ac", "b")
    assert (data.spec.class_names, rows["label"].tolist()) == (("a", "b"), [0, 0, 1])
    assert data.keywords[0] == ("t", "5")
    assert rows["image"][0, 0, 0, [0, 31, 32, 63]].tolist() == [128, 128, 255, 255]
    assert rows["partner"][0, 0, 0, [0, 63]].tolist() == [0, 255]
    small = open_data("icons", resolution=16, channels=3)
    assert small.records(torch.arange(2))["partner"].shape == (2, 3, 16, 16)
    assert small.spec.shapes == {"partner": (3, 16, 16)}
    assert small.spec.content_hash != data.spec.content_hash
    written = json.loads((place / ORIGIN).read_text())
    assert (written["licence"], written["package"]["name"]) == ("MIT", "@tabler/icons")
    before = (place / ORIGIN).stat().st_mtime_ns
    assert get("icons") == place  # it is there: nothing is asked for
    assert (place / ORIGIN).stat().st_mtime_ns == before
    assert file.exists()


def test_openmoji_is_line_art_and_colour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = [
        {"hexcode": code, "annotation": f"name {code}", "group": "g", "tags": "one, two,", "skintone": tone}
        for code, tone in (("1F600", ""), ("1F601", ""), ("1F44B-1F3FB", "1"), ("GONE", ""))
    ]
    contents = {"package/data/openmoji.json": json.dumps(table).encode()}
    for entry in table[:3]:
        contents[f"package/color/svg/{entry['hexcode']}.svg"] = SVG.format("#ff0000").encode()
        contents[f"package/black/svg/{entry['hexcode']}.svg"] = SVG.format("#000000").encode()
    get("openmoji-lines", source=standing_in(monkeypatch, "openmoji", packed(tmp_path / "p.tgz", contents)))
    lines, colour = open_data("openmoji-lines"), open_data("openmoji")
    assert (len(lines), len(colour)) == (3, 2)
    rows = lines.records(torch.arange(3))
    assert (rows["image"].shape, rows["partner"].shape) == ((3, 1, 64, 64), (3, 3, 64, 64))
    assert rows["partner"][0, :, 0, 0].tolist() == [255, 0, 0]
    assert (colour.names[1], colour.keywords[0]) == ("name 1F601", ("one", "two"))


def test_vector_drawings_without_the_extra_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(DataError, match=r"resvg-py, which is not installed: pip install 'saddlepoint\[svg\]'"):
        drawing(SVG.format("#000").encode(), 1)


def test_tones_have_exact_targets_and_parts_share_no_emoji(vendor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get("noto", source=standing_in(monkeypatch, "noto", vendor))
    data = open_data("noto-tones")
    rows = data.records(torch.arange(len(data)))
    assert (len(data), data.spec.class_names) == (60, TONES)
    assert rows["image"][:, 1, 0, 0].tolist() == rows["label"].tolist()
    wanted = 6 * rows["identity"][7] + 5  # the exact target of record 7 in the darkest tone
    assert data.column("image")[wanted][:2, 0, 0].tolist() == [2, 5]
    train, test = (open_data(f"noto-tones:{part}") for part in ("train", "test"))
    assert (len(train), len(test)) == (54, 6)
    assert not set(train.column("identity").tolist()) & set(test.column("identity").tolist())


def test_vendors_share_meanings(vendor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get("emoji-vendors", source=standing_in(monkeypatch, "twemoji", vendor))
    data, twemoji = open_data("emoji-vendors"), open_data("twemoji")
    assert twemoji.keywords[0] == ("\U0001f600", "x")
    assert data.names[0] == "grinning face"
    rows = data.records(torch.arange(len(data)))
    assert sorted(rows["other_meaning"].tolist()) == rows["meaning"].tolist()
    match = rows["other_meaning"].argsort()[0]
    assert torch.equal(rows["other"][match], twemoji.column("image")[0])
    assert torch.equal(rows["image"][0], open_data("emoji").column("image")[0])


def test_idx_files_are_laid_where_they_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {}
    for part, count in (("train", 30), ("t10k", 10)):
        pixels = np.arange(count * 784).astype(np.uint8).tobytes()
        contents[f"package/data/{part}-images-idx3-ubyte"] = bytes.fromhex(f"00000803{count:08x}0000001c0000001c") + pixels
        contents[f"package/data/{part}-labels-idx1-ubyte"] = bytes.fromhex(f"00000801{count:08x}") + bytes(i % 10 for i in range(count))
    contents["package/../../evil-images-idx3-ubyte"] = b"x"
    file = standing_in(monkeypatch, "mnist", packed(tmp_path / "p.tgz", contents))
    root = tmp_path / "root"
    assert get("mnist", source=file, root=root) == root / "MNIST" / "raw"
    assert (len(open_data("mnist", root=root)), len(open_data("mnist:test", root=root))) == (40, 10)
    assert open_data("moving-mnist", root=root).spec.shape == (1, 64, 64)
    assert sorted(path.name for path in (root / "MNIST" / "raw").iterdir()) == sorted(
        [ORIGIN, *(name.rpartition("/")[2] for name in contents if "evil" not in name)]
    )
    del contents["package/data/t10k-labels-idx1-ubyte"]
    with pytest.raises(DataError, match="holds 3 of the 4 IDX files"):
        get("mnist", source=standing_in(monkeypatch, "mnist", packed(tmp_path / "q.tgz", contents)), root=tmp_path / "other")
    assert not list((tmp_path / "other" / "MNIST").iterdir())


def test_what_goes_wrong_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: Path) -> None:
    with pytest.raises(UsageError, match="No set to fetch is named 'openmojis'. Nearest: openmoji"):
        get("openmojis")
    with pytest.raises(DataError, match="is not emoji-datasource-google 16.0.0: its SHA-256 is"):
        get("noto", source=vendor)
    (tmp_path / "root" / "noto").mkdir(parents=True)
    (tmp_path / "root" / "noto" / "mine.txt").touch()
    with pytest.raises(UsageError, match="noto exists and holds something else. Remove it, or give another --root"):
        get("noto", source=standing_in(monkeypatch, "noto", vendor), root=tmp_path / "root")
    with pytest.raises(ValueError, match="two offers are named 'noto'"):
        offer(OFFERS["noto"])


def test_a_newer_builder_makes_its_set_anew(vendor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = get("noto", source=standing_in(monkeypatch, "noto", vendor))
    (place / "old").touch()
    monkeypatch.setitem(OFFERS, "noto", dataclasses.replace(OFFERS["noto"], version=99))
    with pytest.raises(DataError, match="saddlepoint data get noto"):
        open_data("noto-tones")
    assert get("noto", source=vendor) == place
    assert not (place / "old").exists()
    assert len(open_data("noto-tones")) == 60


class Authors:
    """torchvision's class of a set: fetches nothing, wants the file to be there."""

    def __init__(self, root: str, download: bool) -> None:
        sys.stdout.write("Files already downloaded and verified")
        if not (Path(root) / "cifar-10-python.tar.gz").exists():
            raise urllib.error.URLError("no route to host")
        (Path(root) / "cifar-10-batches-py").mkdir(exist_ok=True)


def test_what_lies_with_its_authors_is_fetched_by_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torchvision.datasets.CIFAR10", Authors)
    root = tmp_path / "root"
    command = ["data", "get", "cifar10", "--root", str(root)]
    assert main(["data", "get", "cifar"]) == 2
    assert "No set to fetch is named 'cifar'. Nearest: cifar10, cifar100" in capsys.readouterr().err
    assert main(command) == 3
    assert "Cannot fetch cifar10 from its authors: no route to host. Fetch cifar-10-python.tar.gz elsewhere" in capsys.readouterr().err
    assert main([*command, "--from", str(tmp_path)]) == 3
    assert "does not hold cifar-10-python.tar.gz. cifar10 is made of" in capsys.readouterr().err
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"archive")
    assert main([*command, "--from", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "licence: none stated" in said and "already downloaded" not in said
    assert (root / "cifar-10-python.tar.gz").read_bytes() == b"archive"
    assert (original_is_there("cifar10", root), original_is_there("svhn", root)) == (True, False)


def test_the_command_says_whose_it_is(vendor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    standing_in(monkeypatch, "noto", vendor)
    assert main(["data", "get", "noto", "--from", str(vendor), "--root", str(tmp_path / "root")]) == 0
    said = capsys.readouterr().out
    assert "licence: Apache-2.0" in said
    assert "credits: Google" in said
    assert f"--data noto-tones --data-root {tmp_path / 'root'}" in said
    assert main(["data", "list", "--json"]) == 0
    assert {each["name"] for each in json.loads(capsys.readouterr().out)["offers"]} == {*OFFERS, *ORIGINALS}
    assert main(["data", "list"]) == 0
    assert "saddlepoint data get NAME" in capsys.readouterr().out
