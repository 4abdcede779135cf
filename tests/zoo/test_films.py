"""Videos translated frame by frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.errors import DataError, UsageError
from saddlepoint.training.plan import Plan
from saddlepoint.verbs.films import change_film

av: Any = pytest.importorskip("av")


def film(path: Path, *, frames: int = 6, size: tuple[int, int] = (32, 24), sound: bool = True) -> Path:
    """A grey square that becomes brighter, and a tone."""
    with av.open(str(path), "w") as made:
        video = made.add_stream("libx264", rate=10, options={"crf": "5"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        voice = made.add_stream("aac", rate=8000, layout="mono") if sound else None
        for i in range(frames):
            made.mux(video.encode(av.VideoFrame.from_image(Image.new("RGB", size, (30 * i, 30 * i, 30 * i)))))
        made.mux(video.encode())
        if voice is not None:
            tone = np.sin(np.arange(4800, dtype=np.float32) / 5)[None] / 4
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, 0
            made.mux(voice.encode(frame))
            made.mux(voice.encode())
    return path


def read(path: Path) -> tuple[list[Any], list[float], int]:
    with av.open(str(path)) as given:
        frames = [(frame.to_ndarray(format="rgb24"), frame.time) for frame in given.decode(video=0)]
        return [pixels for pixels, _ in frames], [time for _, time in frames], len(given.streams.audio)


@pytest.mark.parametrize(("ending", "sound"), [(".mp4", True), (".mkv", True), (".webm", False)])
def test_every_frame_is_changed_at_its_time(tmp_path: Path, ending: str, sound: bool) -> None:
    source = film(tmp_path / "in.mp4", sound=sound)
    change_film(source, tmp_path / "deep" / f"out{ending}", lambda frame: Image.eval(frame.resize((48, 24)), lambda value: 255 - value))
    given, times, voices = read(source)
    made, new_times, new_voices = read(tmp_path / "deep" / f"out{ending}")
    assert (len(made), new_voices) == (len(given), voices) == (6, int(sound))
    assert np.diff(new_times) == pytest.approx(np.diff(times), abs=2e-3)  # Matroska begins with the sound's lead, 128 ms before
    for before, after in zip(given, made, strict=True):
        assert after.shape == (24, 48, 3)
        assert abs(255 - before.mean() - after.mean()) < 6
    assert [path.name for path in (tmp_path / "deep").iterdir()] == [f"out{ending}"]


def test_odd_sides(tmp_path: Path) -> None:
    change_film(film(tmp_path / "in.mp4", sound=False), tmp_path / "out.mp4", lambda frame: frame.resize((33, 21)))
    assert read(tmp_path / "out.mp4")[0][0].shape == (21, 33, 3)


def test_from_the_command_line(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"resolution": 16, "width": 4, "d_width": 4, "batch": 4, "blocks": 1, "pretrain": 0, "factor": 2, "features": "quick"}
    run = api.train("srgan", data="digits", device="cpu", out=tmp_path / "run", plan=Plan(steps=1), **settings).folder
    source = film(tmp_path / "in.mp4")
    assert main(["translate", str(run), str(source), str(tmp_path / "out.mp4"), "--sheet"]) == 0
    frames, _, voices = read(tmp_path / "out.mp4")
    assert (len(frames), frames[0].shape, voices) == (6, (48, 130, 3), 1)
    assert main(["translate", str(run), str(source), str(tmp_path / "folder")]) == 0
    assert (tmp_path / "folder" / "in.mp4").exists()


def test_what_is_refused(tmp_path: Path) -> None:
    source, bad = film(tmp_path / "in.mp4"), tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    for given, target, error, words in (
        (source, "out.png", UsageError, r"A video is written as \.mp4"),
        (bad, "out.mp4", DataError, r"bad\.mp4 cannot be read as a video"),
        (source, "out.webm", DataError, r"The sound of .*in\.mp4 \(aac\) does not go into \.webm"),
    ):
        with pytest.raises(error, match=words):
            change_film(given, tmp_path / target, lambda frame: frame)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "in.mp4"]
