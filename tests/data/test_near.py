"""Near duplicates: which records go, in data planted with changed copies, by both hashes; and what is written of them."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.converting import provenance_of
from saddlepoint.data.near import near_pairs, perceptual_hashes, twins, without_twins
from saddlepoint.data.packed import write_packed
from saddlepoint.data.records import DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError
from saddlepoint.studies import hashing, near_duplicates
from saddlepoint.verbs.thinning import thin


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))


def scenes(count: int, *, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures, uint8 [n, 3, 32, 32], no two alike."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 255
    return torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(0, 255).round().to(torch.uint8)


def data_of(images: torch.Tensor, name: str = "scenes") -> ArrayDataset:
    spec = DataSpec(name=name, kind="image", shape=tuple(images.shape[1:]), num_records=len(images), content_hash="0" * 16)
    return ArrayDataset({"image": images}, spec, names=[f"{i}.png" for i in range(len(images))])


def planted() -> tuple[ArrayDataset, int]:
    """60 scenes, then a changed copy of each of the first 20: noise, a pixel to the right, a tenth darker, and itself."""
    images = scenes(60)
    noisy, _, shifted, darker = near_duplicates.changed(images[:20], torch.Generator().manual_seed(1))
    return data_of(torch.cat([images, noisy[:5], shifted[5:10], darker[10:15], images[15:20]])), 60


# -- which go ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "distance"), [(64, 3), (128, 5), (128, 0), (20, 1)])
def test_twins_against_every_pair(bits: int, distance: int) -> None:
    rng = np.random.default_rng(0)
    hashes = [int.from_bytes(rng.bytes(16), "big") % 2**bits for _ in range(40)]
    for k in range(80):
        flips = rng.choice(bits, k % 7, replace=False)
        hashes.append(hashes[int(rng.integers(len(hashes)))] ^ sum(1 << int(place) for place in flips))
    expected: dict[int, int] = {}
    for row, each in enumerate(hashes):
        like = [one for one in range(row) if one not in expected and (hashes[one] ^ each).bit_count() <= distance]
        if like:
            expected[row] = like[0]
    assert twins(hashes, distance, bits) == expected and expected
    pairs = near_pairs({str(k): each for k, each in enumerate(hashes)}, distance, bits)
    assert len(pairs) == sum((a ^ b).bit_count() <= distance for k, a in enumerate(hashes) for b in hashes[:k])


def test_no_chain_of_small_steps_empties_the_data() -> None:
    steps = [(1 << k) - 1 for k in range(13)]  # each one bit from the next
    assert twins(steps, 4, 64) == {1: 0, 2: 0, 3: 0, 4: 0, 6: 5, 7: 5, 8: 5, 9: 5, 11: 10, 12: 10}
    assert twins([], 4, 64) == twins([1], 4, 64) == {}
    with pytest.raises(UsageError, match="0 to 63 of the 64 bits of a hash; 64 came"):
        twins([1], 64, 64)


def test_the_perceptual_hash_finds_what_was_planted() -> None:
    data, originals = planted()
    found = twins(perceptual_hashes(data), 4, 64)
    assert min(found) >= originals and len(found) >= 18 and {*range(75, 80)} <= {*found}  # no original goes, nearly every copy does
    assert all(one == row - originals for row, one in found.items())


def test_the_learned_hash_finds_what_was_planted() -> None:
    data, originals = planted()
    found = twins(hashing.code_hashes(data, rounds=200), 8, hashing.BITS)
    assert min(found) >= originals and {*range(75, 80)} <= {*found}  # no original goes, every exact copy does
    assert len(found) >= 17 and all(one == row - originals for row, one in found.items())
    assert hashing.code_hashes(data, rounds=3) == hashing.code_hashes(data, rounds=3)


def test_the_learned_hash_is_the_signs_of_the_code() -> None:
    data = data_of(scenes(12))
    game = hashing.hasher(data, rounds=2)
    codes = game.encode(data.records(torch.arange(12))["image"].float() / 127.5 - 1)
    assert codes.shape == (12, 128) and codes.min() == 0
    bits = "".join("1" if number > 0 else "0" for number in codes[3].tolist())
    assert hashing.hash_with(game, data.records(torch.tensor([3]))["image"]) == [int(bits, 2)]
    large = torch.cat([scenes(1), scenes(1)[..., :8]], 3)  # wider: its centred square counts
    assert hashing.hash_with(game, large) == hashing.hash_with(game, large[..., 4:36])
    assert [sum(p.numel() for p in half.parameters()) for half in (game.encoder, game.decoder)] == [3072 * 128 + 128, 128 * 3072 + 3072]


def test_what_is_left_and_what_is_written() -> None:
    left, about = without_twins(data_of(scenes(5)), {2: 0, 4: 0}, {"way": "by hand"})
    assert left.names == ("0.png", "1.png", "3.png") and left.spec.name == "scenes:without-duplicates"
    assert about == {"way": "by hand", "records": 5, "kept": 3, "dropped": [[2, "2.png", 0, "0.png"], [4, "4.png", 0, "0.png"]]}
    nameless = ArrayDataset({"image": scenes(2)}, dataclasses.replace(data_of(scenes(2)).spec))
    assert without_twins(nameless, {1: 0}, {})[1]["dropped"] == [[1, "", 0, ""]]
    floats = ArrayDataset({"image": scenes(4).float() / 127.5 - 1}, data_of(scenes(4)).spec)
    assert perceptual_hashes(floats) == perceptual_hashes(data_of(scenes(4)))


# -- converting ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> str:
    return str(write_packed(planted()[0], tmp_path / "planted", "by hand"))


@pytest.mark.parametrize("name", ["packed", "photos.zip", "shards", "folder"])
def test_every_form_without_duplicates(name: str, source: str, tmp_path: Path) -> None:
    form: Any = name if name in ("shards", "folder") else None
    out = api.convert_data(source, tmp_path / name, form=form, without_duplicates="perceptual")
    kept = open_data(str(out))
    found = twins(perceptual_hashes(planted()[0]), 4, 64)
    stay = torch.tensor([row for row in range(80) if row not in found])
    images, expected = (data.records(rows)["image"] for data, rows in ((kept, torch.arange(len(kept))), (planted()[0], stay)))
    assert {each.numpy().tobytes() for each in images} == {each.numpy().tobytes() for each in expected} and len(images) == len(expected)
    about = provenance_of(out)["without_duplicates"]
    assert (about["way"], about["differing_bits"], about["bits"], about["records"], about["kept"]) == ("perceptual", 4, 64, 80, len(stay))
    assert about["dropped"] == [[row, f"{row}.png", one, f"{one}.png"] for row, one in found.items()]
    before = {file: file.stat().st_mtime_ns for file in ([out] if out.is_file() else out.iterdir())}
    assert api.convert_data(source, out, form=form, without_duplicates="perceptual") == out  # the same call twice changes nothing
    assert before == {file: file.stat().st_mtime_ns for file in ([out] if out.is_file() else out.iterdir())}


def test_the_code_says_how_it_was_made(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "code_hashes", functools.partial(hashing.code_hashes, rounds=3))
    left, about = thin(open_data(source), "code")
    found = about["without_duplicates"]
    assert (found["way"], found["differing_bits"], found["bits"], found["preset"]) == ("code", 0, 128, "hashing")
    assert found["config"]["latent_dim"] == 128 and len(left) == found["kept"] == 80 - len(found["dropped"])
    assert {row for row, *_ in found["dropped"]} >= {*range(75, 80)}  # exact copies have the same code whatever was learned
    json.dumps(about)


def test_the_command(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "thin"
    assert main(["data", "convert", source, str(out), "--without-duplicates", "perceptual", "--differing-bits", "0"]) == 0
    said = capsys.readouterr().out.splitlines()
    count = len(provenance_of(out)["without_duplicates"]["dropped"])
    assert said[0] == str(out) and said[1].startswith(f"{count} of 80 images left out as near duplicates (perceptual hash)") and 5 <= count < 20
    assert main(["data", "convert", source, str(tmp_path / "all")]) == 0
    assert provenance_of(tmp_path / "all") == {} and "left out" not in capsys.readouterr().out


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found among images; ring8 holds points data"):
        api.convert_data("ring8", tmp_path / "a", without_duplicates="perceptual")
    with pytest.raises(UsageError, match="name the way they are found with --without-duplicates"):
        api.convert_data("emoji", tmp_path / "a", differing_bits=3)
    with pytest.raises(UsageError, match="0 to 63 of the 64 bits"):
        thin(data_of(scenes(3)), "perceptual", 64)


# -- the study -----------------------------------------------------------------------------------------------------------------------------


def test_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "ORIGINALS", 60)
    monkeypatch.setattr(near_duplicates, "COPIES", 10)
    flags = ["--questions", "emoji", "--seeds", "1", "--rounds", "3", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert near_duplicates.main(flags) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.startswith("emoji, 3 rounds\n") and all(f"| {arm} |" in table for arm in near_duplicates.ARMS)
    rows = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    shares = {row["job"]["arm"]: [*row["scores"].values()] for row in rows}
    assert all(0 <= share <= 1 for each in shares.values() for share in each)
    assert all(a <= b for a, b in zip(shares["code, 0 of 128"], shares["code, 4 of 128"], strict=True))  # more bits, more of everything
