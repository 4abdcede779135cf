"""Shards that lie elsewhere: tar and Parquet files by any URL that fsspec opens, listed, told apart, and fetched one by one while they are needed."""

from __future__ import annotations

import itertools
import re
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import fsspec

from saddlepoint.data.cache import cache_root, storing
from saddlepoint.errors import DataError, SaddlepointError, UsageError

ENDINGS = (".tar", ".parquet")
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
CHUNK = 2**20  # bytes fetched at once
ATTEMPTS, PAUSE = 3, 1.0  # of fetching a shard, and seconds between them, doubled each time


@dataclass(frozen=True)
class Place:
    """One shard.

    Attributes:
        url: as it was expanded.
        fs: its file system.
        path: in it.
        size: in bytes.
        state: what changes when it does.
    """

    url: str
    fs: Any
    path: str
    size: int
    state: str

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine."""
        return "file" in ([self.fs.protocol] if isinstance(self.fs.protocol, str) else self.fs.protocol)


def expanded(url: str) -> list[str]:
    """A URL with every range of numbers written out, zeros kept.

    >>> expanded("s3://x/{08..10}.tar")
    ['s3://x/08.tar', 's3://x/09.tar', 's3://x/10.tar']
    """
    pieces = RANGE.split(url)
    ranges = [[f"{n:0{len(low)}d}" for n in range(int(low), int(high) + 1)] for low, high in zip(pieces[1::3], pieces[2::3], strict=True)]
    return ["".join(itertools.chain(*itertools.zip_longest(pieces[::3], numbers, fillvalue=""))) for numbers in itertools.product(*ranges)]


def places_of(urls: list[str]) -> list[Place]:
    """The shards that URLs mean: files, patterns with * or {000..099}, or folders with shards directly inside.

    Raises:
        UsageError: for a protocol that is unknown or whose package is not installed.
        DataError: for what is not there or cannot be reached.
    """
    found: list[Place] = []
    with ThreadPoolExecutor(16) as workers:
        for url in itertools.chain.from_iterable(map(expanded, urls)):
            fs, paths = _listed(url)
            found.extend(workers.map(lambda path, fs=fs: _place(fs, path), paths))
    if not found:
        raise DataError(f"{urls[0]} names no shard: expected files that end with {' or '.join(ENDINGS)}. Check it.")
    return found


def _listed(url: str) -> tuple[Any, list[str]]:
    try:
        fs, path = fsspec.core.url_to_fs(url)
        if "*" in path:
            return fs, sorted(name for name in fs.glob(path) if name.endswith(ENDINGS))
        if path.endswith(ENDINGS):
            return fs, [path]
        return fs, sorted(name for ending in ENDINGS for name in fs.glob(f"{path.rstrip('/')}/*{ending}"))
    except (ImportError, ValueError) as error:
        raise UsageError(f"{url} cannot be opened: {_line(error)}.") from None
    except Exception as error:  # each file system has errors of its own
        raise _unreachable(url, error) from None


def _place(fs: Any, path: str) -> Place:
    url = fs.unstrip_protocol(path)
    try:
        info = fs.info(path)
        return Place(url, fs, path, int(info.get("size") or 0), f"{info.get('size')} {fs.ukey(path)}")
    except Exception as error:  # each file system has errors of its own
        raise _unreachable(url, error) from None


def _unreachable(url: str, error: Exception) -> DataError:
    what = "there is no such file" if isinstance(error, FileNotFoundError) else _line(error)
    return DataError(f"{url} cannot be reached ({what}). Check it, and the network.")


def _line(error: Exception) -> str:
    return (str(error).strip().split("\n")[0][:160] or type(error).__name__).rstrip(".")


Opened = TypeVar("Opened")


class Fetched(Generic[Opened]):
    """The shards at hand: files of this machine where they lie, others as nameless copies in the cache's folder that go with the process.

    Args:
        places: of all shards.
        most: shards kept open at once; the one that was not asked for the longest goes, and is closed when nobody reads it any more.
        open: what is made of a shard's place and its file, once it is there.
    """

    def __init__(self, places: list[Place], most: int, open: Callable[[Place, IO[bytes]], Opened]) -> None:
        self.places, self.most, self.open = places, most, open
        self._held: OrderedDict[int, Future[Opened]] = OrderedDict()
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(max_workers=8)

    def get(self, shard: int) -> Opened:
        """The shard; fetched if it is not at hand.

        Raises:
            DataError: if it cannot be fetched, or is no longer of the size that it was.
        """
        try:
            return self.ask(shard).result()
        except BaseException:
            self.drop(shard)
            raise

    def ask(self, shard: int) -> Future[Opened]:
        """Begin to fetch a shard that is not at hand."""
        with self._lock:
            if shard not in self._held:
                self._held[shard] = self._workers.submit(self._fetch, shard)
            self._held.move_to_end(shard)
            while len(self._held) > self.most:
                self._held.popitem(last=False)
            return self._held[shard]

    def drop(self, shard: int) -> None:
        """Let go of a shard."""
        with self._lock:
            self._held.pop(shard, None)

    def _fetch(self, shard: int) -> Opened:
        place = self.places[shard]
        if place.is_local:
            return self._wrapped(place, Path(place.path).open("rb"))
        file = _patiently(lambda: _copied(place))
        found = file.seek(0, 2)
        if place.size and found != place.size:
            file.close()
            raise DataError(f"{place.url} has {found} bytes; it had {place.size}. Start again, so that the shards are looked through anew.")
        file.seek(0)
        return self._wrapped(place, file)

    def _wrapped(self, place: Place, file: IO[bytes]) -> Opened:
        """What is made of a shard; the file is closed when nobody has it any more."""
        try:
            opened = self.open(place, file)
        except BaseException:
            file.close()
            raise
        weakref.finalize(opened, file.close)
        return opened


def _copied(place: Place) -> IO[bytes]:
    folder = cache_root() / "streams"
    with storing(folder, "a shard"):
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (it has no name and goes with the process)
    try:
        with place.fs.open(place.path, "rb") as source:
            while chunk := source.read(CHUNK):
                with storing(folder, "a shard"):
                    file.write(chunk)
        with storing(folder, "a shard"):
            file.flush()
    except BaseException as error:
        file.close()
        if isinstance(error, SaddlepointError) or not isinstance(error, Exception):
            raise
        raise _unreachable(place.url, error) from None  # each file system has errors of its own
    return file


def _patiently(fetch: Callable[[], IO[bytes]]) -> IO[bytes]:
    """A network may fail for a moment."""
    for attempt in range(ATTEMPTS):
        try:
            return fetch()
        except DataError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError
