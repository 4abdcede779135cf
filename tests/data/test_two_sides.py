"""Two sides of one data set that are stored at different sizes: what is told, what is refused, and what a look at them says."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.packed import write_packed
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


def write(folder: Path, names: list[str], *, size: tuple[int, int] = (8, 8), first: int = 0) -> Path:
    """Images whose red is their number, counted from ``first``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, first):
        Image.new("RGB", size, (number, 100, 200)).save(folder / name)
    return folder


def told_of(caplog: pytest.LogCaptureFixture, name: str, resolution: int | tuple[int, int]) -> list[str]:
    """The lines written while these data are opened, which the data keep as notes."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="saddlepoint"):
        data = open_data(name, resolution=resolution)
    assert data.spec.shape[1:] == ((resolution, resolution) if isinstance(resolution, int) else resolution)
    assert list(data.notes) == caplog.messages
    return caplog.messages


def test_sides_of_different_sizes_are_told_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("even"), [f"{i}.png" for i in range(4)], size=(64, 64))
    write(Path("mixed"), ["0.png", "1.png", "2.png"], size=(9, 9))
    write(Path("mixed"), ["3.png"], size=(70, 60))
    write(Path("large"), ["0.png", "1.png", "2.png", "3.png"], size=(80, 80))
    wide = write(Path("wide"), ["0.png", "1.png"], size=(64, 48))
    wide.joinpath("metadata.csv").write_text("file_name,label\n0.png,a\n1.png,b\n")  # a table beside the images changes nothing
    np.save("array.npy", np.zeros((4, 3, 16, 24), np.uint8))
    brought, other = "both are brought to", "--resolution sets another."
    mixed = "even holds images of 64x64, mixed of 9x9 to 70x60; both are cropped and brought to"
    cases: list[tuple[str, int | tuple[int, int], list[str]]] = [
        ("domains:even+even", 16, []),  # larger, of one size: nothing is unusual
        ("domains:even+even", 64, []),
        (
            "domains:even+mixed",
            16,
            [f"{mixed} 16x16 (3 of the 4 in mixed are smaller than that). {other}"],
        ),
        ("domains:even+large", 16, [f"even holds images of 64x64, large of 80x80; {brought} 16x16. {other}"]),
        (
            "domains:even+large",
            72,
            [f"even holds images of 64x64, large of 80x80; {brought} 72x72 (all 4 in even are smaller than that). {other}"],
        ),
        (
            "domains:even+even",
            128,
            [f"even and even hold images of 64x64; {brought} 128x128 (all 4 in even and all 4 in even are smaller than that). {other}"],
        ),
        ("domains:wide+wide", (48, 64), []),
        ("domains:wide+wide", 16, [f"wide and wide hold images of 64x48; both are cropped and brought to 16x16. {other}"]),
        ("domains:array.npy+wide", (6, 9), [f"array.npy holds images of 24x16, wide of 64x48; both are cropped and brought to 9x6. {other}"]),
        ("domains:digits+even", 8, [f"digits holds images of 8x8, even of 64x64; {brought} 8x8. {other}"]),
        ("domains:faces+faces", 16, []),  # drawn at the size that is asked for
        ("domains:even+mixed:train", 8, [f"{mixed} 8x8. {other}"]),
        ("pairs:even+large", 16, [f"even holds images of 64x64, large of 80x80; {brought} 16x16. {other}"]),
    ]
    for _ in range(2):  # the second time from the packs
        for name, resolution, lines in cases:
            assert told_of(caplog, name, resolution) == lines


def test_packed_sides_of_two_sizes_are_refused_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, side in (("small", 8), ("large", 16), ("again", 16)):
        data: ArrayDataset = open_data("digits", resolution=side)
        write_packed(data, Path(name), "digits")
    for resolution in (None, 8, 16):
        with pytest.raises(
            DataError, match=r"^small is packed at 8x8 pixels and large at 16x16, and packed data keep their size\. Convert the source of"
        ):
            open_data("domains:small+large", resolution=resolution)
    assert len(open_data("domains:large+again", resolution=16)) == 1797


def test_a_training_tells_the_sizes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("one"), ["0.png", "1.png"], size=(64, 64))
    write(Path("two"), ["0.png", "1.png"], size=(30, 20))
    assert main(["train", "--data", "domains:one+two", "--dry-run", "--device", "cpu"]) == 0
    both = "one holds images of 64x64, two of 30x20; both are cropped and brought to 32x32"
    assert caplog.messages == [f"{both} (all 2 in two are smaller than that). --resolution sets another."]
    assert main(["train", "cyclegan", "--data", "domains:one+two", "--resolution", "None", "--dry-run", "--device", "cpu"]) == DataError.exit_code
    assert "error: The images in two are 30x20 pixels, not square." in capfd.readouterr().err
    caplog.clear()
    assert main(["train", "--data", "domains:one+two", "--preset", "small-64", "--dry-run", "--device", "cpu"]) == 0
    assert len(caplog.messages) == 1  # of the size that is trained at, and not of that at which a recipe was chosen
    assert "brought to 64x64" in caplog.messages[0]
    assert main(["train", "cyclegan", "--data", "domains:ring8+one", "--dry-run", "--device", "cpu"]) == DataError.exit_code
    assert "Two images a record are needed; ring8 holds points. Name two sets of images." in capfd.readouterr().err


def test_a_look_at_two_sides_is_a_look_at_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("even"), [f"{i}.png" for i in range(4)], size=(64, 64))
    write(Path("mixed"), ["0.png", "1.png", "2.png"], size=(9, 9))
    write(Path("mixed"), ["3.png"], size=(70, 60))
    found = api.check_data("domains:even+mixed")
    assert {side: report["sizes"] for side, report in found["sides"].items()} == {"even": {"64x64": 4}, "mixed": {"9x9": 3, "70x60": 1}}
    assert found["command"] == "saddlepoint train cyclegan --data domains:even+mixed --resolution 16 --out runs/first"
    assert [line for line in found["lines"] if "can be read" in line] == [
        "even: 4 of 4 image files can be read",
        "mixed: 4 of 4 image files can be read",
    ]
    assert not any(line.startswith("Train with") for line in found["lines"])
    assert any("both are cropped and brought to 16x16 (3 of the 4 in mixed are smaller than that)" in message for message in caplog.messages)
    assert {*api.check_data("pairs:even+even:train")["sides"]} == {"even:train"}
    (Path("even") / "4.png").write_bytes((Path("even") / "0.png").read_bytes())
    with pytest.raises(DataError, match="1 of the 5 images of even have no partner in mixed: 4"):
        api.check_data("pairs:even+mixed")


def test_a_run_in_use_does_not_tell_of_its_data_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("one"), ["0.png", "1.png"], size=(64, 64))
    write(Path("two"), ["0.png", "1.png"], size=(30, 20))
    size = ["--resolution", "16", "--width", "4", "--d-width", "4", "--blocks", "1", "--batch", "2", "--steps", "1", "--device", "cpu"]
    assert main(["train", "cyclegan", "--data", "domains:one+two", "--out", "run", *size]) == 0
    assert len(caplog.messages) == 1
    caplog.clear()
    assert main(["translate", "run", "one/0.png", "out.png"]) == 0
    assert caplog.messages == []
    (Path("two") / "0.png").unlink()  # that they are gone is told
    assert main(["translate", "run", "one/0.png", "again.png"]) == 0
    assert ["are gone or have changed" in message for message in caplog.messages] == [True]
    assert Path("out.png").read_bytes() == Path("again.png").read_bytes()
    Path("bad.png").write_text("no image")
    with pytest.raises(DataError, match=r"bad\.png cannot be read as an image: it is of no known format\. Take it out"):
        api.translate("run", "bad.png", "out.png")
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO()}))
    with pytest.raises(DataError, match="The standard input is empty; the bytes of one image are expected there"):
        api.translate("run", "-", "out.png")


def test_codes_of_what_is_no_image_are_refused(tmp_path: Path) -> None:
    run = api.train("autoencoder", data="digits", preset="small", steps=1, out=tmp_path / "run", resolution=8, batch=2, device="cpu")
    for data in ("ring8", "motifs"):
        with pytest.raises(UsageError, match=f"{data} holds no images; a run of autoencoder looks at images of 8x8 pixels"):
            api.encode(run.folder, data)
    with pytest.raises(UsageError, match=r"This is written as \.npz; .*codes\.txt is not\. Choose another --out"):
        api.encode(run.folder, "digits", out=tmp_path / "codes.txt")
