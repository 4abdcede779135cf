"""Folders of images, good and bad: what is read is right, what is wrong is one clear line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data import folder as folder_module
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

MakeImages = Callable[..., list[Path]]  # of the fixture make_images


def grey_ramp() -> np.ndarray:
    return np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)


# ------------------------------------------------------------------------------------------------ what is read


def test_pixels_arrive_as_they_are(tmp_path: Path, make_images: MakeImages) -> None:
    paths = make_images(tmp_path / "photos", 5)
    data = open_data(str(tmp_path / "photos"))
    assert (data.spec.kind, data.spec.shape, data.spec.num_classes, data.spec.fields) == ("image", (3, 16, 16), None, ("image",))
    assert data.names == tuple(path.name for path in paths)
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            assert np.array_equal(data.records(torch.tensor([i]))["image"][0].numpy(), np.asarray(image).transpose(2, 0, 1))


def test_subfolders_are_classes(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path / "dog" / "puppies", 2)
    make_images(tmp_path / "cat", 3, seed=1)
    make_images(tmp_path / ".hidden", 1)
    data = open_data(str(tmp_path))
    assert data.spec.class_names == ("cat", "dog")
    assert data.column("label").tolist() == [0, 0, 0, 1, 1]
    assert data.names[-1] == "dog/puppies/0001.png"
    assert data.spec.fields == ("image", "label")


def test_one_subfolder_is_no_class(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path / "all", 3)
    assert open_data(str(tmp_path)).spec.num_classes is None


def test_images_are_cropped_to_the_centre_and_resized(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = (10, 200, 30)  # the middle square
    for i in range(2):
        Image.fromarray(wide).save(tmp_path / f"{i}.png")
        Image.fromarray(wide.transpose(1, 0, 2).copy()).save(tmp_path / f"tall{i}.png")
    images = open_data(str(tmp_path), resolution=10).column("image")
    assert images.shape == (4, 3, 10, 10)
    assert (images == torch.tensor([10, 200, 30], dtype=torch.uint8).view(1, 3, 1, 1)).all()


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    for i in range(2):
        Image.fromarray(stripes).save(tmp_path / f"{i}.png")
    inner = open_data(str(tmp_path), resolution=16).column("image")[..., 2:-2]
    assert inner.float().mean().item() == pytest.approx(127.5, abs=2)
    assert inner.float().std() < 3  # every fourth pixel would be all black


def test_all_grey_stays_grey_unless_asked(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 3, mode="L")
    assert open_data(str(tmp_path)).spec.shape == (1, 16, 16)
    colour = open_data(str(tmp_path), channels=3)
    assert colour.spec.shape == (3, 16, 16)
    assert torch.equal(colour.column("image")[:, :1], open_data(str(tmp_path)).column("image"))
    make_images(tmp_path, 1, mode="RGB", suffix=".jpg")
    assert open_data(str(tmp_path)).spec.shape == (3, 16, 16)
    assert open_data(str(tmp_path), channels=1).spec.shape == (1, 16, 16)


def test_sixteen_bits_become_eight_by_scale(tmp_path: Path) -> None:
    Image.fromarray(grey_ramp()).save(tmp_path / "a.png")
    Image.fromarray(grey_ramp()).save(tmp_path / "b.tif")
    Image.fromarray(grey_ramp()).save(tmp_path / "c.pgm")
    images = open_data(str(tmp_path)).column("image")
    assert images.shape == (3, 1, 16, 16)
    expected = np.rint(grey_ramp() * (255 / 65535))
    for image in images:
        assert np.array_equal(image[0].numpy(), expected)


def test_a_mixed_folder_is_all_rgb_and_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / "0rgb.png")
    Image.fromarray(colour[..., 0]).save(tmp_path / "1grey.png")
    Image.fromarray(np.dstack([colour, np.full((16, 16), 128, np.uint8)])).save(tmp_path / "2rgba.png")
    Image.fromarray(grey_ramp()).save(tmp_path / "3deep.png")
    Image.fromarray(colour).quantize(8).save(tmp_path / "4palette.gif")
    Image.fromarray(colour).convert("CMYK").save(tmp_path / "5cmyk.tif")
    Image.fromarray(colour[..., 0] > 127).save(tmp_path / "6bits.png")
    Image.fromarray(np.dstack([colour[..., 0], np.zeros((16, 16), np.uint8)])).save(tmp_path / "7greyalpha.png")
    with caplog.at_level(logging.WARNING, "saddlepoint"):
        images = open_data(str(tmp_path)).column("image").numpy()
    assert images.shape == (8, 3, 16, 16)
    assert np.array_equal(images[0], colour.transpose(2, 0, 1))
    assert np.array_equal(images[1], np.broadcast_to(colour[..., 0], (3, 16, 16)))
    assert np.abs(images[2].astype(int) - (colour.transpose(2, 0, 1) * (128 / 255) + 255 * (127 / 255))).max() <= 1
    assert images[3][:, -1, -1].tolist() == [255, 255, 255]
    assert np.array_equal(images[5], colour.transpose(2, 0, 1))
    assert np.array_equal(images[6][0], np.where(colour[..., 0] > 127, 255, 0))
    assert (images[7] == 255).all()
    assert caplog.messages == [f"2 of the 8 images in {tmp_path} are transparent; they were put on white."]


def test_a_transparent_palette_is_put_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.paste(0, (0, 0, 4, 8))
    for i in range(2):
        image.save(tmp_path / f"{i}.png", transparency=0)
    pixels = open_data(str(tmp_path)).column("image")[0]
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 0, 7].tolist() == [200, 10, 10]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_exif_rotation_is_honoured(tmp_path: Path, suffix: str, mode: str) -> None:
    if (suffix, mode) == (".jpg", "RGBA"):
        mode = "L"
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:4] = 255  # a bright top
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    for i in range(2):
        Image.fromarray(np.rot90(upright).copy()).convert(mode).save(tmp_path / f"{i}{suffix}", exif=exif)
    pixels = open_data(str(tmp_path), channels=1).column("image")[0, 0].float()
    assert pixels[:3].mean() > 250
    assert pixels[5:].mean() < 5


# ------------------------------------------------------------------------------------------------ what is refused


def refused(path: Path, message: str, **settings: int) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_data(str(path), **settings)  # type: ignore[arg-type]
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_an_empty_folder(tmp_path: Path) -> None:
    refused(tmp_path, "holds no images: expected .png, .jpg, .* found nothing")


def test_a_folder_of_other_files(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.csv", "README"):
        (tmp_path / name).write_text("words")
    refused(tmp_path, "holds no images: .* found 2 .txt, 1 .*, 1 ")


def test_one_image(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 1)
    refused(tmp_path, r"holds 1 image \(0000.png\); training needs at least 2")


def test_loose_images_beside_classes(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 2)
    make_images(tmp_path / "cat", 2)
    refused(tmp_path, r"mixes 2 loose images \(such as 0000.png\) with sub-folders of images \(cat\)")


def test_different_sizes_need_a_resolution(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 2)
    make_images(tmp_path, 1, size=(30, 20), suffix=".bmp")
    refused(tmp_path, "have 2 different sizes, from 16x16 to 30x20 pixels. .* --resolution 64")
    assert open_data(str(tmp_path), resolution=8).spec.shape == (3, 8, 8)


def test_equal_but_not_square_needs_a_resolution(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 2, size=(30, 20))
    refused(tmp_path, "are 30x20 pixels, not square")


def test_one_damaged_file_is_skipped_and_told(tmp_path: Path, make_images: MakeImages, caplog: pytest.LogCaptureFixture) -> None:
    make_images(tmp_path, 4)
    (tmp_path / "0001a.png").write_text("these are words")
    for _ in range(2):  # the second time from the pack
        caplog.clear()
        data = open_data(str(tmp_path))
        assert data.names == ("0000.png", "0001.png", "0002.png", "0003.png")
        assert caplog.messages == [f"Skipped {tmp_path / '0001a.png'}: not a readable image."]
        assert data.notes == tuple(caplog.messages)


def test_a_truncated_jpeg_is_skipped_with_its_label(tmp_path: Path, make_images: MakeImages, caplog: pytest.LogCaptureFixture) -> None:
    make_images(tmp_path / "a", 3, size=(64, 64), suffix=".jpg")
    make_images(tmp_path / "b", 3, size=(64, 64), suffix=".jpg", seed=1)
    broken = tmp_path / "a" / "0002.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    data = open_data(str(tmp_path))
    assert data.column("label").tolist() == [0, 0, 1, 1, 1]
    assert len(data) == 5
    assert len(caplog.messages) == 1
    assert f"Skipped {broken}: " in caplog.messages[0]
    assert "truncated" in caplog.messages[0]


def test_too_many_damaged_files_are_an_error_that_names_three(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 20)
    for i in range(4):
        (tmp_path / f"bad{i}.png").write_bytes(b"\x89PNG broken")
    refused(
        tmp_path,
        r"4 of the 24 image files in .* cannot be read: bad0.png \(.*\); bad1.png \(.*\); bad2.png \(.*\) and 1 more. At most 1 may be skipped",
    )


def test_one_per_cent_may_be_damaged(tmp_path: Path, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path, 200, size=(2, 2))
    for i in range(2):
        (tmp_path / f"bad{i}.png").write_text("words")
    assert len(open_data(str(tmp_path))) == 200
    (tmp_path / "bad2.png").write_text("words")
    refused(tmp_path, "3 of the 203 image files")


def test_two_files_of_which_one_is_damaged(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 1)
    (tmp_path / "bad.png").write_text("words")
    refused(tmp_path, "1 of the 2 image files .* 2 images must be left")


def test_thirty_two_bits_and_empty_files_are_damage(tmp_path: Path, make_images: MakeImages, caplog: pytest.LogCaptureFixture) -> None:
    make_images(tmp_path, 2, mode="L")
    Image.fromarray(np.zeros((16, 16), np.float32)).save(tmp_path / "float.tif")
    assert len(open_data(str(tmp_path))) == 2
    assert "32 bits (mode F) have no agreed white" in caplog.text
    (tmp_path / "float.tif").unlink()
    (tmp_path / "empty.png").touch()
    caplog.clear()
    assert len(open_data(str(tmp_path))) == 2
    assert "empty.png: not a readable image" in caplog.text


def test_links_to_nowhere_and_links_in_a_circle(tmp_path: Path, make_images: MakeImages, caplog: pytest.LogCaptureFixture) -> None:
    make_images(tmp_path / "images", 3)
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "gone.png").symlink_to(tmp_path / "nothing.png")
    data = open_data(str(tmp_path / "images"))
    assert len(data) == 3
    assert "gone.png" in caplog.text


def test_many_damaged_files_are_told_in_few_lines(tmp_path: Path, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_CORRUPT_SHARE", 0.5)
    make_images(tmp_path, 40, size=(2, 2))
    for i in range(30):
        (tmp_path / f"bad{i:02d}.png").write_text("words")
    notes = open_data(str(tmp_path)).notes
    assert len(notes) == 21
    assert notes[-1].startswith("Skipped 10 more files")
