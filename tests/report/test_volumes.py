"""Volumes as pictures, meshes and arrays."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.report.volumes import connectedness, largest_part, mesh, picture, write_volumes


def ball(side: int = 24, radius: float = 0.35) -> torch.Tensor:
    middle = (torch.arange(side) + 0.5) / side - 0.5
    far = (middle[:, None, None] ** 2 + middle[None, :, None] ** 2 + middle**2).sqrt()
    return ((radius - far) * side / 2 + 0.5).clamp(0, 1)[None, None]


def test_marching_cubes_give_a_closed_ball_of_the_right_size() -> None:
    vertices, faces = mesh(ball()[0, 0].numpy())
    surface = trimesh.Trimesh(vertices, faces)
    assert surface.is_watertight
    assert surface.volume == pytest.approx(4 / 3 * math.pi * 0.35**3, rel=0.02)  # positive: faces look outwards
    np.testing.assert_allclose(surface.center_mass, [0, 0.5, 0], atol=1e-3)  # x and z from the middle, y from the floor


def test_axes_of_a_mesh_are_those_of_the_volume() -> None:
    volume = np.zeros((8, 8, 8), np.float32)
    volume[6, 1, 2] = 1  # d h w: z y x
    vertices, _ = mesh(volume)
    np.testing.assert_allclose(vertices.mean(0), [2.5 / 8 - 0.5, 1.5 / 8, 6.5 / 8 - 0.5], atol=1e-6)


def test_the_largest_part_is_kept() -> None:
    volume = np.zeros((6, 6, 6), np.float32)
    volume[:3, :3, :3], volume[5, 5, 5] = 0.9, 1.0
    kept = largest_part(volume)
    assert kept[5, 5, 5] == 0 and np.array_equal(kept[:3, :3, :3], volume[:3, :3, :3])
    shares = connectedness(torch.from_numpy(np.stack([volume, kept, 0 * kept]))[:, None])
    assert shares.tolist() == pytest.approx([27 / 28, 1.0, 0.0])
    assert len(mesh(volume, largest=False)[0]) > len(mesh(volume)[0])


def test_the_files_of_volumes(tmp_path: Path) -> None:
    volumes = torch.cat([ball(), ball(radius=0.2), ball(radius=0.3)])
    for ending in (".obj", ".stl", ".ply", ".glb"):
        write_volumes(volumes, tmp_path / f"x{ending}")
        found = trimesh.load(io.BytesIO((tmp_path / f"x{ending}").read_bytes()), file_type=ending[1:], force="mesh")
        assert len(found.split(only_watertight=True)) == 3, ending
    write_volumes(volumes, tmp_path / "x.npz")
    assert torch.equal(torch.from_numpy(np.load(tmp_path / "x.npz")["volumes"]), volumes)
    write_volumes(volumes, tmp_path / "x.npy")
    assert np.load(tmp_path / "x.npy").shape == (3, 1, 24, 24, 24)
    write_volumes(volumes, tmp_path / "folder")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["000000.obj", "000001.obj", "000002.obj"]
    write_volumes(volumes, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
    with pytest.raises(UsageError, match=r"Volumes are written as \.png, .*; .*x\.jpg is none"):
        write_volumes(volumes, tmp_path / "x.jpg")
    with pytest.raises(UsageError, match="This volume is empty"):
        write_volumes(0 * volumes, tmp_path / "y.obj")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    furniture = open_data("shapes3d").records(torch.tensor([1, 4]))["volume"]
    write_volumes(furniture, tmp_path / "pieces")
    again = open_data(f"meshes:{tmp_path / 'pieces'}", resolution=32).records(torch.arange(2))["volume"]
    assert again.shape == furniture.shape and not (again.flatten(1).mean(1) < furniture.flatten(1).mean(1)).any()  # larger: it fills its cube


def test_a_picture_has_a_tile_a_volume() -> None:
    drawn = np.asarray(picture(torch.cat([ball(), 0 * ball()]), columns=2).convert("RGB"))
    assert drawn.shape == (96, 96 * 2 + 2, 3)
    assert (drawn[:, 100:] == 255).all() and drawn[48, 48, 2] > drawn[48, 48, 0]
