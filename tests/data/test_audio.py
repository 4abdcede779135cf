"""Stretches of sound: of WAV files of every depth, and of what soundfile reads."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from saddlepoint.data.audio import load
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError

RATE = 8000


def ramp(num: int, channels: int = 1) -> np.ndarray:
    return np.linspace(-0.9, 0.9, num)[:, None].repeat(channels, 1)


def save(path: Path, sound: np.ndarray, width: int = 2, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.round(sound * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    data = {
        1: lambda: (values + 128).astype(np.uint8).tobytes(),
        2: lambda: values.astype("<i2").tobytes(),
        3: lambda: values.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes(),
        4: lambda: values.astype("<i4").tobytes(),
    }[width]()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


@pytest.mark.parametrize(("width", "tolerance"), [(1, 2e-2), (2, 1e-4), (3, 1e-6), (4, 1e-6)])
def test_every_depth_of_wav_is_read_as_soundfile_reads_it(tmp_path: Path, width: int, tolerance: float) -> None:
    path = save(tmp_path / "a.wav", ramp(100, 2), width)
    sound, rate = load(path)
    theirs, _ = soundfile.read(path, dtype="float32")
    assert rate == RATE
    assert np.abs(sound - theirs).max() < 1e-7
    assert np.abs(sound - ramp(100, 2)).max() < tolerance


@pytest.mark.parametrize(("length", "step", "count"), [(10, 10, 10), (10, 4, 23), (7, 10, 10), (300, 256, 3), (512, 256, 2)])
def test_windows_lie_where_they_should(tmp_path: Path, length: int, step: int, count: int) -> None:
    num = 100 if length < 100 else 900
    save(tmp_path / "a.wav", ramp(num))
    save(tmp_path / "b.wav", ramp(length + 3)[::-1])
    data = open_data(f"audio:{tmp_path}?length={length}&step={step}")
    assert data.spec.kind == "audio"
    assert data.spec.shape == (1, length)
    assert len(data) == count + 1 + (3 // step)
    found = data.records(torch.arange(len(data)))["audio"]
    wanted = torch.stack([torch.from_numpy(ramp(num))[k * step : k * step + length].T for k in range(count)])
    assert (found[:count] - wanted).abs().max() < 1e-4
    assert (found[count] - torch.from_numpy(ramp(length + 3)[::-1].copy())[:length].T).abs().max() < 1e-4


def test_channels_classes_and_floats(tmp_path: Path) -> None:
    stereo = np.stack([np.full(64, 0.5), np.full(64, -0.25)], 1)
    save(tmp_path / "drum" / "a.wav", stereo)
    (tmp_path / "bass").mkdir()
    soundfile.write(tmp_path / "bass" / "b.flac", stereo, RATE)
    soundfile.write(tmp_path / "bass" / "c.wav", stereo, RATE, subtype="FLOAT")
    data = open_data(f"audio:{tmp_path}?length=32")
    assert data.spec.class_names == ("bass", "drum")
    assert data.column("label").tolist() == [0, 0, 0, 0, 1, 1]
    assert (data.records(torch.arange(6))["audio"] - 0.125).abs().max() < 1e-4
    both = open_data(f"audio:{tmp_path}?length=32", channels=2)
    assert both.spec.shape == (2, 32)
    assert (both.records(torch.arange(6))["audio"] - torch.tensor([[0.5], [-0.25]])).abs().max() < 1e-4


def test_rates_are_brought_to_one_only_where_it_is_asked(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)[:, None] / 2
    save(tmp_path / "a.wav", tone, rate=8000)
    save(tmp_path / "b.wav", np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)[:, None] / 2, rate=16000)
    with pytest.raises(DataError, match=r"a.wav has 8000 samples a second.*\?rate=8000"):
        open_data(f"audio:{tmp_path}?length=1000")
    data = open_data(f"audio:{tmp_path}?length=1000&rate=8000")
    assert len(data) == 16
    found = data.records(torch.arange(16))["audio"]
    assert (found[3] - found[11]).abs().max() < 5e-3  # inside; a filter rings at the ends


def test_bad_input_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="holds no sounds"):
        open_data(f"audio:{tmp_path}")
    (tmp_path / "bad.wav").write_text("RIFF?")
    with pytest.raises(DataError, match=r"1 of the 1 sounds in .* cannot be read: bad.wav \("):
        open_data(f"audio:{tmp_path}")
    (tmp_path / "bad.wav").unlink()
    save(tmp_path / "a.wav", ramp(50))
    with pytest.raises(DataError, match="gives 0 records of 16384 samples"):
        open_data(f"audio:{tmp_path}")
    with pytest.raises(UsageError, match="has no resolution"):
        open_data(f"audio:{tmp_path}?length=10", resolution=8)
    save(tmp_path / "b.wav", ramp(50, 2))
    assert len(open_data(f"audio:{tmp_path}?length=25")) == 4
    soundfile.write(tmp_path / "c.ogg", ramp(500), RATE)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UsageError, match=r"c.ogg needs soundfile.*pip install 'saddlepoint\[audio\]'"):
        open_data(f"audio:{tmp_path}?length=25")
