"""Stretches of sound: ``audio:PATH?length=16384&step=16384&rate=16000``.

PATH is a sound file or a folder of them; sub-folders of several are classes. A record is ``length`` samples at ``rate`` a second; the next begins
``step`` samples later. Without ``rate`` all files must have one; files of another are resampled by a polyphase filter. WAV files of 8, 16, 24 and 32
bits are read by the standard library, all else (FLAC, OGG, MP3, WAV of floats) by soundfile (the extra ``audio``).

Axes: n records, c channels, t samples.
"""

from __future__ import annotations

import math
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import Pixels
from saddlepoint.data.options import read_options
from saddlepoint.data.recordings import Cut, find_recordings, open_recordings
from saddlepoint.data.registry import Request
from saddlepoint.data.windows import Windows
from saddlepoint.errors import DataError, UsageError

SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf"))
DEFAULTS = {"length": 16384, "step": 0, "rate": 0}  # WaveGAN's length: about a second at 16 kHz
SHORTEST = 256  # samples of a part, unless steps are shorter

Sound = NDArray[np.float32]


def open_audio(place: str, request: Request) -> ArrayDataset:
    """The stretches of sounds, see the module.

    Returns:
        Records with "audio", float32 [c, t] in [-1, 1], and "label" where sub-folders are classes. c is 1, the mean of several, unless two were
        asked for.
    Raises:
        DataError: files of several rates where none is asked for, too short, or damaged.
        UsageError: for options that there are not, a resolution, or where soundfile is needed and not there.
    """
    if request.resolution is not None or request.channels not in (None, 1, 2):
        raise UsageError(f"{request.name} is sound, which has no resolution and 1 or 2 channels. Leave those settings out.")
    path, options = read_options(place, DEFAULTS)
    length, channels = int(options["length"]), request.channels or 1
    step = int(options["step"]) or length
    part = math.gcd(step, length)
    part = part if part >= SHORTEST else step
    parts = -(-length // part)
    rates: dict[int, Path] = {}

    def read(recording: Path) -> Iterator[Pixels]:
        sound, rate = load(recording)
        rates.setdefault(rate, recording)
        if options["rate"]:
            sound = resampled(sound, rate, int(options["rate"]))
        elif len(rates) > 1:
            (first, one), (second, other) = list(rates.items())[:2]
            raise DataError(f"{one.name} has {first} samples a second and {other.name} has {second}. Say at which to read them: ?rate={first}.")
        yield from _parts(with_channels(sound, channels), part, length)

    def finish(found: Tensor) -> Tensor:
        samples = found.contiguous().view(torch.float32).reshape(len(found), -1, channels)
        return samples[:, :length].transpose(1, 2)

    cut = Cut(
        kind="audio",
        noun="sound",
        num_parts=parts,
        step=step // part,
        fields=lambda sound, starts: {"audio": Windows(sound, starts, parts, (channels, length), finish)},
        short=f"{length} samples",
        asked={"audio": [part, length, options["rate"]], "channels": channels},
    )
    root = Path(path).expanduser()
    return open_recordings(request.name, root, find_recordings(root, SUFFIXES), read, cut)


def _parts(sound: Sound, part: int, length: int) -> Iterator[Pixels]:
    """Stretches of ``part`` samples as bytes; silence fills the last one, and no window that it alone would make longer."""
    count = (len(sound) - length) // part + -(-length // part) if len(sound) >= length else len(sound) // part
    filled = np.zeros((count * part, sound.shape[1]), np.float32)
    kept = min(len(sound), len(filled))
    filled[:kept] = sound[:kept]
    for start in range(0, len(filled), part):
        yield filled[start : start + part].reshape(-1).view(np.uint8)


def load(path: Path) -> tuple[Sound, int]:
    """A sound file: float32 [t, c] in [-1, 1], and its samples a second."""
    if path.suffix.lower() == ".wav":
        try:
            return _load_wave(path)
        except wave.Error:  # floats, or compressed
            pass
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise UsageError(
            f"{path.name} needs soundfile, which cannot be imported ({error}). Install it: pip install 'saddlepoint[audio]', or save WAV files."
        ) from error
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(sound, np.float32), int(rate)


def _load_wave(path: Path) -> tuple[Sound, int]:
    with wave.open(str(path), "rb") as file:
        channels, width, rate, count = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
        data = file.readframes(count)
    if width == 1:
        values = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = padded.reshape(-1).view("<i4").astype(np.float32) / 2**31
    elif width in (2, 4):
        values = (np.frombuffer(data, f"<i{width}") / 2 ** (8 * width - 1)).astype(np.float32)
    else:
        raise DataError(f"{path} has samples of {8 * width} bits; 8, 16, 24 or 32 are known.")
    assert sys.byteorder == "little" or width != 3
    return np.asarray(values, np.float32).reshape(-1, channels), rate


def resampled(sound: Sound, rate: int, target: int) -> Sound:
    """At another number of samples a second, by a polyphase filter. float32 [t, c] -> [round(t * target / rate) or one more, c]."""
    from scipy.signal import resample_poly

    if rate == target:
        return sound
    ratio = Fraction(target, rate)
    return np.asarray(resample_poly(sound, ratio.numerator, ratio.denominator, axis=0), dtype=np.float32).clip(-1, 1)


def with_channels(sound: Sound, channels: int) -> Sound:
    """Mean of all channels for one, one twice for two. float32 [t, c] -> [t, channels]."""
    if sound.shape[1] == channels:
        return sound
    mean: Sound = sound.mean(1, keepdims=True, dtype=np.float32)
    return mean if channels == 1 else mean.repeat(channels, axis=1)
