"""The public sets that lie with their authors: CIFAR, SVHN and CelebA, fetched by torchvision, which holds each file to its MD5."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saddlepoint.data.cache import cache_root
from saddlepoint.errors import DataError, StorageError


@dataclass(frozen=True, kw_only=True)
class Original:
    """A set as torchvision knows it.

    Attributes:
        kind: its class in torchvision.datasets.
        folder: where its files are expected below the root.
        files: what its authors give.
        holds: what is there once it is whole, below the root.
        parts: the settings of the class, one for each part that is fetched by itself.
    """

    kind: str
    folder: str
    files: tuple[str, ...]
    holds: str
    parts: tuple[dict[str, Any], ...] = ({},)


CELEBA_TABLES = ("list_attr_celeba.txt", "identity_CelebA.txt", "list_bbox_celeba.txt", "list_landmarks_align_celeba.txt", "list_eval_partition.txt")
ORIGINALS: dict[str, Original] = {
    "cifar10": Original(kind="CIFAR10", folder="", files=("cifar-10-python.tar.gz",), holds="cifar-10-batches-py"),
    "cifar100": Original(kind="CIFAR100", folder="", files=("cifar-100-python.tar.gz",), holds="cifar-100-python"),
    "svhn": Original(
        kind="SVHN", folder="", files=("train_32x32.mat", "test_32x32.mat"), holds="test_32x32.mat", parts=({"split": "train"}, {"split": "test"})
    ),
    "celeba": Original(kind="CelebA", folder="celeba", files=("img_align_celeba.zip", *CELEBA_TABLES), holds="celeba/img_align_celeba"),
}


def place_of_originals(root: Path | None) -> Path:
    """Where these sets lie: the root, or the folder ``torchvision`` of the cache."""
    return cache_root() / "torchvision" if root is None else root.expanduser()


def original_is_there(name: str, root: Path | None) -> bool:
    """Whether a set lies there; that it is whole is seen when it is opened."""
    return (place_of_originals(root) / ORIGINALS[name].holds).exists()


def get_original(name: str, *, source: Path | None = None, root: Path | None = None) -> Path:
    """Fetch a set from its authors, or lay their files where they are looked for; one that is there is left as it is.

    Args:
        name: one of ``ORIGINALS``.
        source: the file, or a folder with the files, as the authors give them.
        root: where public sets lie; None: the cache.
    Raises:
        DataError: if they cannot be had, or are other files.
        StorageError: if the disk refuses.
    """
    made, place = ORIGINALS[name], place_of_originals(root)
    try:
        import torchvision.datasets
    except ImportError as error:
        raise DataError(f"{name} is fetched by torchvision, which is not installed: pip install torchvision.") from error
    try:
        (place / made.folder).mkdir(parents=True, exist_ok=True)
        if source is not None:
            _lay(name, source.expanduser(), place / made.folder)
    except OSError as error:
        raise StorageError(f"Cannot write {place}: {error.strerror or error}. Make room, or give another place with --root.") from error
    kind: Callable[..., Any] = getattr(torchvision.datasets, made.kind)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # "Files already downloaded and verified"
            for settings in made.parts:
                kind(str(place), download=True, **settings)
    except (RuntimeError, OSError, ImportError) as error:
        reason = str(getattr(error, "reason", None) or error).strip().partition("\n")[0]
        raise DataError(
            f"Cannot fetch {name} from its authors: {reason}. Fetch {', '.join(made.files)} elsewhere, and give the folder with --from."
        ) from error
    return place


def _lay(name: str, source: Path, folder: Path) -> None:
    """Copy the authors' files where torchvision expects them."""
    files = ORIGINALS[name].files
    found = [source] if source.is_file() else [source / file for file in files]
    absent = sorted(set(files) - {path.name for path in found if path.is_file()})
    if absent:
        raise DataError(f"{source} does not hold {', '.join(absent)}. {name} is made of {', '.join(files)}, as its authors give them.")
    for path in found:
        if not (folder / path.name).exists() or not path.samefile(folder / path.name):
            shutil.copyfile(path, folder / path.name)
