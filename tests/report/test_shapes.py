"""Shapes of a trained run: interpolation, sums, nearest real volumes, shapes from pictures; files from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import saddlepoint
from saddlepoint.cli.main import main
from saddlepoint.errors import UsageError
from saddlepoint.verbs.shapes import combine, interpolate, latents, nearest, shapes_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One round of each recipe on a few volumes with pictures."""
    folder = tmp_path_factory.mktemp("shapes")
    rng = np.random.default_rng(0)
    np.savez(folder / "set.npz", volumes=rng.random((12, 16, 16, 16)) < 0.3, images=rng.integers(0, 256, (12, 32, 32, 3), np.uint8))
    data, tiny = f"voxels:{folder / 'set.npz'}", {"width": 4, "latent_dim": 5, "batch": 4, "resolution": 16, "steps": 1}
    saddlepoint.train("3d-gan", data=data, out=folder / "gan", **tiny)
    saddlepoint.train("3d-vae-gan", data=data, out=folder / "vae", encoder_width=4, image_size=32, **tiny)
    return {"gan": folder / "gan", "vae": folder / "vae", "data": folder / "set.npz"}


def test_a_run_draws_its_previews(runs: dict[str, Path]) -> None:
    for name in ("gan", "vae"):
        assert (runs[name] / "samples" / "round-00000001.png").stat().st_size > 1000
        assert "mmd" in (runs[name] / "scores.jsonl").read_text()


def test_samples_are_written_from_the_command_line(runs: dict[str, Path], tmp_path: Path) -> None:
    assert main(["sample", str(runs["gan"]), "--num", "3", "--out", str(tmp_path / "x.npz")]) == 0
    volumes = np.load(tmp_path / "x.npz")["volumes"]
    assert volumes.shape == (3, 1, 16, 16, 16) and volumes.min() >= 0 and volumes.max() <= 1
    assert main(["sample", str(runs["gan"]), "--num", "3", "--out", str(tmp_path / "x.png")]) == 0


def test_interpolation_ends_at_the_samples(runs: dict[str, Path]) -> None:
    samples = saddlepoint.sample(runs["gan"], num=70, seed=3)
    between = interpolate(runs["gan"], 2, 66, steps=5, seed=3)
    torch.testing.assert_close(between[[0, -1]], samples[[2, 66]])
    z = latents(runs["gan"], [2, 66], seed=3)
    assert z.shape == (2, 5)
    torch.testing.assert_close(combine(runs["gan"], [66], [], seed=3), samples[66:67])
    torch.testing.assert_close(combine(runs["gan"], [2, 66], [66], seed=3), samples[2:3], atol=1e-5, rtol=1e-4)


def test_nearest_of_the_data_itself(runs: dict[str, Path], tmp_path: Path) -> None:
    rows, found = nearest(runs["gan"], num=3, out=tmp_path / "near.png")
    samples = saddlepoint.sample(runs["gan"], num=3)
    real = np.load(runs["data"])["volumes"]
    for i in range(3):
        occupied = samples[i, 0].numpy() > 0.5
        wanted = [(occupied & each).sum() / (occupied | each).sum() for each in real]
        assert found[i].item() == pytest.approx(max(wanted)) and rows[i].item() == int(np.argmax(wanted))
    assert (tmp_path / "near.png").stat().st_size > 500


def test_shapes_of_pictures(runs: dict[str, Path], tmp_path: Path) -> None:
    own = shapes_of(runs["vae"], f"voxels:{runs['data']}", num=3, out=tmp_path / "made.npy")
    pictures = torch.from_numpy(np.load(runs["data"])["images"][:3].transpose(0, 3, 1, 2).copy())
    torch.testing.assert_close(shapes_of(runs["vae"], pictures), own)
    assert np.load(tmp_path / "made.npy").shape == (3, 1, 16, 16, 16)
    assert torch.equal(shapes_of(runs["vae"], "shapes3d", num=2), shapes_of(runs["vae"], "shapes3d", num=2))


def test_errors_say_what_to_do(runs: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="GAN3DGame has no encoder of images. Train 3d-vae-gan"):
        shapes_of(runs["gan"], "shapes3d")
    with pytest.raises(UsageError, match="at least 2 steps"):
        interpolate(runs["gan"], 0, 1, steps=1)
    with pytest.raises(UsageError, match=r"count from 0; \[-1, 1\] came"):
        interpolate(runs["gan"], -1, 1)
    with pytest.raises(UsageError, match="plus is empty"):
        combine(runs["gan"], [])
    with pytest.raises(UsageError, match="At least 1 sample"):
        nearest(runs["gan"], num=0)
