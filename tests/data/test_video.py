"""Clips: from video files, animated pictures and folders of frames."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

import saddlepoint
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


def film(path: Path, frames: int, size: tuple[int, int] = (32, 32), first: int = 0) -> Path:
    """A video whose frame k is grey of level 8 * (first + k), nearly: it is compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for k in range(frames):
            picture = np.full((size[1], size[0], 3), 8 * ((first + k) % 32), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path


def drawn(folder: Path, frames: int) -> Path:
    folder.mkdir(parents=True)
    for k in range(frames):
        Image.new("L", (8, 8), 5 * k).save(folder / f"f{k}.png")
    return folder


def levels(clips: torch.Tensor) -> list[list[int]]:
    return clips.double().flatten(2).mean(2).round().int().tolist()


def test_a_video_file_becomes_clips(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 20)
    data = open_data(f"video:{path}?frames=8&step=4", resolution=16)
    assert data.spec.kind == "image"
    assert (data.spec.shape, data.spec.shapes["frames"], len(data)) == ((3, 16, 16), (8, 3, 16, 16), 4)
    records = data.records(torch.tensor([1, 3]))
    assert records["frames"].dtype == torch.uint8
    wanted = 8 * (torch.arange(8) + torch.tensor([[4], [12]]))
    assert (torch.tensor(levels(records["frames"])) - wanted).abs().max() <= 4  # another frame would be 8 away
    assert torch.equal(records["image"], records["frames"][:, 0])


def test_frames_in_folders_go_by_their_numbers_and_the_folders_above_are_classes(tmp_path: Path) -> None:
    drawn(tmp_path / "run" / "one", 12)
    drawn(tmp_path / "walk" / "two", 4)
    data = open_data(f"video:{tmp_path}?frames=2&every=2", channels=1)
    assert data.spec.class_names == ("run", "walk")
    assert data.column("label").tolist() == [0, 0, 0, 1]
    assert levels(data.records(torch.arange(4))["frames"]) == [[0, 10], [20, 30], [40, 50], [0, 10]]
    assert data.names == ("run/one", "run/one", "run/one", "walk/two")


def test_an_animation_needs_no_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [Image.new("L", (8, 8), 20 * k) for k in range(6)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100)
    monkeypatch.setitem(sys.modules, "av", None)
    data = open_data(f"video:{tmp_path}?frames=3")
    assert levels(data.records(torch.arange(2))["frames"]) == [[0, 20, 40], [60, 80, 100]]
    (tmp_path / "b.mp4").write_bytes(b"0000")
    with pytest.raises(UsageError, match=r"b.mp4 needs PyAV.*pip install 'saddlepoint\[video\]'"):
        open_data(f"video:{tmp_path}?frames=3")


def test_the_second_start_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", 8)
    first = open_data(f"video:{path}?frames=4")
    monkeypatch.setattr(av, "open", lambda *_: pytest.fail("decoded again"))
    again = open_data(f"video:{path}?frames=4")
    other = open_data(f"video:{path}?frames=2")
    assert again.spec.content_hash == first.spec.content_hash != other.spec.content_hash
    assert len(other) == 4


def test_an_image_recipe_trains_on_the_first_frames(tmp_path: Path) -> None:
    film(tmp_path / "films" / "a.mp4", 96)
    run = saddlepoint.train(
        "dcgan", data=f"video:{tmp_path / 'films'}?frames=4", resolution=16, steps=1, batch=4, width=4, out=tmp_path / "run", device="cpu"
    )
    assert saddlepoint.sample(run.folder, num=2).shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?frames=40", "gives 0 records of 40 frames.*the longest video has 12 of 40 parts"),
        ("?frame=4", "no option 'frame'.*Nearest: frames"),
        ("?frames=0", "frames in .* is a whole number from 1 on"),
        ("?frames=x", "'x' came"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: str, message: str) -> None:
    drawn(tmp_path / "a", 12)
    with pytest.raises((DataError, UsageError), match=message):
        open_data(f"video:{tmp_path}{options}")


def test_what_cannot_be_read_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match="There is no folder or file"):
        open_data(f"video:{tmp_path}/none")
    with pytest.raises(DataError, match="holds no videos"):
        open_data(f"video:{tmp_path}")
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(DataError, match=r"1 of the 1 videos in .* cannot be read: bad.mp4 \("):
        open_data(f"video:{tmp_path}")
    film(tmp_path / "good.mp4", 8)
    data = open_data(f"video:{tmp_path}?frames=4")
    assert len(data) == 2
    assert "Skipped" in caplog.text
    assert "bad.mp4" in caplog.text
    (tmp_path / "wide.avi").parent.joinpath("worse.mp4").write_text("no video")
    with pytest.raises(DataError, match="2 of the 3 videos"):
        open_data(f"video:{tmp_path}?frames=4")


def test_a_file_without_pictures_is_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mkv"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(DataError, match=r"sound.mkv \(it has no pictures, only sound\)"):
        open_data(f"video:{tmp_path}")


def test_sizes_that_differ_or_are_not_square(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 8, (48, 32))
    with pytest.raises(DataError, match="48x32 pixels, not square"):
        open_data(f"video:{tmp_path}?frames=4")
    assert open_data(f"video:{tmp_path}?frames=4", resolution=(16, 24)).spec.shape == (3, 16, 24)
    film(tmp_path / "small" / "a.mp4", 8, (32, 32))
    film(tmp_path / "small" / "b.mp4", 8, (64, 64))
    with pytest.raises(DataError, match=r"b.mp4 is of another size.*--resolution 64"):
        open_data(f"video:{tmp_path / 'small'}?frames=4")


def test_short_videos_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film(tmp_path / "a.mp4", 12)
    film(tmp_path / "b.mp4", 3)
    assert len(open_data(f"video:{tmp_path}?frames=6")) == 2
    assert "1 video(s)" in caplog.text
    assert "shorter than 6 frames and give no record, such as b.mp4" in caplog.text
