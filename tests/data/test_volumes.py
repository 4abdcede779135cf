"""Voxel arrays, meshes and drawn furniture as volumes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from saddlepoint.data.meshes import voxelise
from saddlepoint.data.shapes3d import CLASSES, rasterise
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


def every(data: Any) -> torch.Tensor:
    return data.records(torch.arange(len(data)))["volume"]


def test_boxes_and_cylinders_are_where_they_should_be() -> None:
    parts = torch.tensor([[[0.25, 0.0, 0.5, 0.75, 0.5, 1.0, 0.0]], [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]]])  # x y z: low, high, round
    box, cylinder = rasterise(parts, 8)[:, 0]  # d h w
    wanted = torch.zeros(8, 8, 8)
    wanted[4:, :4, 2:6] = 1
    assert torch.equal(box, wanted)
    assert cylinder.mean().item() == pytest.approx(np.pi / 4, abs=0.04) and torch.equal(cylinder[:, 0], cylinder[:, 7])


def test_furniture_is_the_same_at_every_resolution_and_stands_on_the_floor() -> None:
    fine, coarse = open_data("shapes3d", resolution=32), open_data("shapes3d", resolution=16)
    rows = torch.arange(60)
    a, b = fine.records(rows), coarse.records(rows)
    assert a["label"].unique().tolist() == list(range(6)) and fine.spec.class_names == CLASSES
    pooled = torch.nn.functional.avg_pool3d(a["volume"], 2)
    assert (pooled - b["volume"]).abs().mean() < 0.04
    assert (a["volume"][:, 0, :, 1:3].flatten(1).sum(1) > 0).all()
    occupied = a["volume"].flatten(1).mean(1)
    assert occupied.min() > 0.01 and occupied.max() < 0.35
    assert fine.spec.content_hash != coarse.spec.content_hash


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_all_types_are_occupancies(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    occupied = rng.random((5, 6, 6, 6)) < 0.4
    path = tmp_path / f"grid{suffix}"
    arrays: list[tuple[Any, Any]] = [
        (occupied, occupied),
        (occupied.astype(np.uint8)[:, None], occupied),  # 0 and 1 are occupancies
        (occupied.astype(np.uint8) * 255, occupied),  # more are levels
        (occupied * np.float64(0.25), occupied * 0.25),
    ]
    for array, wanted in arrays:
        np.save(path, array) if suffix == ".npy" else np.savez(path, volumes=array)
        found = every(open_data(f"voxels:{path}"))
        assert found.dtype == torch.float32 and found.shape == (5, 1, 6, 6, 6)
        np.testing.assert_allclose(found[:, 0], wanted.astype(np.float32))


def test_labels_and_pictures_come_along(tmp_path: Path) -> None:
    path, rng = tmp_path / "set.npz", np.random.default_rng(0)
    pictures = rng.integers(0, 256, (20, 9, 9, 3), np.uint8)
    np.savez(path, volumes=rng.random((20, 8, 8, 8)) < 0.5, labels=np.arange(20) % 3, images=pictures)
    data = open_data(f"voxels:{path}:train")
    assert (len(data), data.spec.num_classes, dict(data.spec.shapes)) == (18, 3, {"image": (3, 9, 9)})
    record = data.records(torch.tensor([4]))
    whole = open_data(f"voxels:{path}").records(torch.arange(20))
    row = next(i for i in range(20) if torch.equal(whole["volume"][i], record["volume"][0]))
    assert record["label"].item() == row % 3
    assert torch.equal(record["image"][0], torch.from_numpy(pictures[row].transpose(2, 0, 1).copy()))


def test_sides_are_brought_to_what_is_asked(tmp_path: Path) -> None:
    one = np.zeros((2, 4, 4, 4), bool)
    one[:, 0, 1, 3] = True
    np.save(tmp_path / "g.npy", one)
    half, twice, more = (every(open_data(f"voxels:{tmp_path / 'g.npy'}", resolution=side))[0, 0] for side in (2, 8, 6))
    assert half.nonzero().tolist() == [[0, 0, 1]]
    assert twice.sum() == 8 and twice[0:2, 2:4, 6:8].all()
    assert more.nonzero().tolist() == [[1, 2, 4]]
    np.save(tmp_path / "flat.npy", one[:, :, :2])  # 4 x 2 x 4 becomes a cube
    assert every(open_data(f"voxels:{tmp_path / 'flat.npy'}")).shape == (2, 1, 4, 4, 4)
    with pytest.raises(DataError, match="side 4 cannot be brought to 3"):
        open_data(f"voxels:{tmp_path / 'g.npy'}", resolution=3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 4), np.uint8), r"uint8 of shape \[3, 4, 4\]; expected bool"),
        (np.full((3, 4, 4, 4), 2.0), "values from 2 to 2; volumes are occupancies"),
        (np.ones((1, 4, 4, 4), bool), "holds 1 volumes; training needs at least 2"),
        (np.stack([np.ones((4, 4, 4)), np.zeros((4, 4, 4))]), r"1 of the 2 volumes in .* are empty \(the first: number 1\)"),
    ],
)
def test_arrays_that_are_no_volumes_are_refused(array: Any, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(DataError, match=message):
        open_data(f"voxels:{tmp_path / 'bad.npy'}")


def test_other_errors_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(DataError, match="cannot be read as an array"):
        open_data(f"voxels:{tmp_path / 'text.npy'}")
    with pytest.raises(DataError, match="There is no file"):
        open_data(f"voxels:{tmp_path / 'none.npy'}")
    np.savez(tmp_path / "two.npz", a=np.ones(3), b=np.ones(3))
    with pytest.raises(DataError, match="holds the arrays a, b; expected one, or one named volumes"):
        open_data(f"voxels:{tmp_path / 'two.npz'}")
    np.savez(tmp_path / "labels.npz", volumes=np.ones((2, 4, 4, 4), bool), labels=np.ones(3, int))
    with pytest.raises(DataError, match="labels must be 2 integers"):
        open_data(f"voxels:{tmp_path / 'labels.npz'}")
    with pytest.raises(UsageError, match="volumes, which are cubes; 8x16"):
        open_data("shapes3d", resolution=(8, 16))
    with pytest.raises(UsageError, match="no channels"):
        open_data("shapes3d", channels=3)


def test_a_box_and_a_ball_fill_what_they_enclose() -> None:
    box = trimesh.creation.box((1, 2, 1))
    cube = voxelise(np.asarray(box.vertices), np.asarray(box.faces), 16)  # d h w; 14 high, 7 wide
    assert cube[:, 1:15].any(axis=(0, 2)).all() and not cube[:, [0, 15]].any()
    occupied = cube.any(axis=1)
    assert cube.all(axis=1, where=occupied[:, None] & (np.arange(16)[None, :, None] % 15 > 0)).all()
    ball = trimesh.creation.icosphere(subdivisions=3)
    filled = voxelise(np.asarray(ball.vertices), np.asarray(ball.faces), 34)
    assert filled.sum() / 34**3 == pytest.approx(np.pi / 6, abs=0.08)  # a voxel that the surface touches is occupied
    assert filled[17, 17, 17] and not filled[0, 0, 0]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    for name, mesh in {
        "a/box.obj": trimesh.creation.box((1, 2, 1)),
        "a/ball.stl": trimesh.creation.icosphere(),
        "a/ring.glb": trimesh.creation.torus(1, 0.3),
        "b/can.ply": trimesh.creation.cylinder(1, 3),
        "b/cone.off": trimesh.creation.cone(1, 2),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        mesh.export(folder / name)
    return folder


def test_meshes_of_every_format_become_volumes(shelf: Path) -> None:
    data = open_data(f"meshes:{shelf}", resolution=16)
    assert (data.spec.kind, data.spec.shape, data.spec.class_names, data.notes) == ("volume", (1, 16, 16, 16), ("a", "b"), ())
    assert data.names == ("a/ball.stl", "a/box.obj", "a/ring.glb", "b/can.ply", "b/cone.off")
    volumes = every(data)
    assert data.column("label").tolist() == [0, 0, 0, 1, 1]
    assert (volumes.flatten(1).sum(1) > 100).all()
    again = open_data(f"meshes:{shelf}", resolution=16)
    assert torch.equal(every(again), volumes) and again.spec == data.spec
    upright = every(open_data(f"meshes-z:{shelf}", resolution=16))  # the can stands along z
    assert upright[3, 0].any(0).any(1).sum() == 14 > volumes[3, 0].any(0).any(1).sum()
    assert len(open_data(f"meshes:{shelf}:test")) == 1


def test_pictures_beside_meshes(shelf: Path) -> None:
    for path in shelf.rglob("*.*"):
        Image.new("RGBA", (50, 50), (255, 0, 0, 128)).save(path.with_suffix(".png"))
    record = open_data(f"meshes:{shelf}", resolution=16).records(torch.tensor([0]))
    assert record["image"].shape == (1, 3, 128, 128)
    assert record["image"][0, :, 60, 60].tolist() == [255, 127, 127]  # half red, on white


def test_a_furniture_catalogue(shelf: Path, tmp_path: Path) -> None:
    path, icon = tmp_path / "own.sh3f", io.BytesIO()
    Image.new("RGB", (128, 128), "green").save(icon, format="png")
    lines = ["id=own"]
    with zipfile.ZipFile(path, "w") as archive:
        for row, (name, category) in enumerate([("Box", "Living room"), ("Ring", "Misc"), ("Can", "Misc")], start=1):
            file = {"Box": "a/box.obj", "Ring": "a/ring.glb", "Can": "b/can.ply"}[name]
            archive.write(shelf / file, f"models/{name}/{Path(file).name}")
            archive.writestr(f"icons/{name}.png", icon.getvalue())
            lines += [f"name#{row}={name}", f"category#{row}={category}"]
            lines += [f"model#{row}=/models/{name}/{Path(file).name}", f"icon#{row}=/icons/{name}.png"]
        archive.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
    data = open_data(f"meshes:{path}", resolution=16)
    assert (data.names, data.spec.class_names, data.spec.fields) == (("Box", "Ring", "Can"), ("Living room", "Misc"), ("volume", "label", "image"))
    assert data.records(torch.tensor([1]))["image"][0, :, 0, 0].tolist() == [0, 128, 0]
    (tmp_path / "broken.sh3f").write_text("no zip")
    with pytest.raises(DataError, match="cannot be read as a furniture catalogue"):
        open_data(f"meshes:{tmp_path / 'broken.sh3f'}")


def test_bad_meshes_are_named_with_counts(shelf: Path, tmp_path: Path) -> None:
    box = trimesh.creation.box((1, 2, 1))
    trimesh.Trimesh(box.vertices, box.faces[:-1]).export(shelf / "b" / "hole.obj")
    data = open_data(f"meshes:{shelf}", resolution=16)
    assert "1 of the 6 meshes" in data.notes[0] and "b/hole.obj): where a hole is wider than a voxel they stay hollow" in data.notes[0]
    (shelf / "a" / "empty.obj").write_text("")
    (shelf / "a" / "points.obj").write_text("v 0 0 0\nv 1 0 0\n")
    with pytest.raises(
        DataError, match=r"2 of the 8 meshes in .*empty.obj \(the file is empty\).*points.obj \(.*\)\. At most a tenth may be left out"
    ):
        open_data(f"meshes:{shelf}", resolution=16)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="holds no meshes"):
        open_data(f"meshes:{tmp_path / 'nothing'}")
    with pytest.raises(DataError, match="There is no folder"):
        open_data(f"meshes:{tmp_path / 'missing'}")
    with pytest.raises(UsageError, match="at least 8 voxels a side; 4 came"):
        open_data(f"meshes:{shelf}", resolution=4)


def test_slivers_and_large_faces_cost_little_and_leave_no_hole() -> None:
    """A ball of needles: each point of each triangle lies near a place that stands for it."""
    rng = np.random.default_rng(0)
    tips, far = rng.normal(size=(2, 500, 3))
    corners = np.stack([tips, far, tips + 1e-4 * rng.normal(size=(500, 3))], 1)
    voxels = voxelise(corners.reshape(-1, 3), np.arange(1500).reshape(-1, 3), 16)
    scale, low, high = 14 * (1 - 1e-6) / np.ptp(corners, axis=(0, 1)).max(), corners.min((0, 1)), corners.max((0, 1))
    share = rng.random((500, 200, 1))
    points = (1 - share) * tips[:, None] + share * far[:, None]
    places = (points - (low + high) / 2) * scale + 8
    places[..., 1] = (points[..., 1] - low[1]) * scale + 1 + 1e-6
    x, y, z = np.floor(places).astype(int).reshape(-1, 3).T
    assert voxels[z, y, x].mean() > 0.97  # a needle may cut a corner of a voxel
