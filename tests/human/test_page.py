"""The page as a browser meets it: the real server in its own process, asked over HTTP, killed and started again."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.errors import UsageError
from saddlepoint.human import page as page_module
from saddlepoint.human.answers import read_answers

pytest.importorskip("gradio")


class Server:
    """`saddlepoint study serve` in a process of its own, and what the page's script would ask it."""

    def __init__(self, folder) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "saddlepoint", "study", "serve", str(folder), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.address = self.process.stdout.readline().split()[0]
        config = json.loads(self.read("config"))
        (self.part,) = (part["id"] for part in config["components"] if part["type"] == "html")

    def read(self, path: str, body: dict | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.read()

    def ask(self, name: str, **data) -> dict:
        return json.loads(self.read("gradio_api/component_server/", {"component_id": self.part, "fn_name": name, "data": data, "session_hash": "x"}))

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait(30)


def test_answers_outlive_a_killed_server_and_the_rater_goes_on(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=12, practice=1, attention=2, attention_needed=2, title="Which are real?")
    server = Server(study.folder)
    try:
        front = server.read("").decode()
        assert "Which are real?" in front
        assert "fonts.googleapis" not in front
        assert server.ask("view", rater="anna")["state"] == "consent"
        view = server.ask("consent", rater="anna")
        assert view["images"][0].startswith("data:image/png;base64,")
        for _ in range(5):
            view = server.ask("answer", rater="anna", trial=view["trial"], choice="real", response_ms=700)
        assert view["trial"] == 5
        assert "is not the next of rater anna" in server.ask("answer", rater="anna", trial=9, choice="real")["error"]
        assert "1 to 64 letters" in server.ask("view", rater="a/b")["error"]
        assert "sent no 'rater'" in server.ask("view")["error"]
        with pytest.raises(UsageError, match=f"Port {server.port} of 127.0.0.1 cannot be used: Address already in use. Choose another"):
            page_module.serve(study.folder, port=server.port)
        for inside in ("study.json", "answers.sqlite", "images/" + study.real.images[0]):
            with pytest.raises(urllib.error.HTTPError):
                server.read(f"gradio_api/file={study.folder}/{inside}")
    finally:
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    assert [(row.trial, row.choice, row.response_ms) for row in read_answers(study.folder)] == [(index, "real", 700) for index in range(5)]
    # What the restarted server does is what a new session on the same folder does; starting Gradio a second time would only cost time.
    session = open_session(study)
    assert session.view("anna")["trial"] == 5
    assert session.view("ben")["state"] == "consent"


def test_a_missing_gradio_is_said_in_one_line(make_study, monkeypatch, open_session):
    study = make_study("real-or-fake", "one", trials=8)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UsageError, match=r"pip install 'saddlepoint\[human\]'") as refused:
        page_module.make_page(open_session(study))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("host", "port", "message"), [("127.0.0.1", 0, "between 1 and 65535"), ("192.0.2.1", 7860, "cannot be used")])
def test_an_address_that_cannot_be_is_refused(host, port, message):
    with pytest.raises(UsageError, match=message):
        page_module.check_port(host, port)


# -- the commands --------------------------------------------------------------------------------------------------------------------------


def test_a_study_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "study"
    words = ["study", "new", "real-or-fake", "--real", "digits:test", "--fake", "clothes=fashion:test", "--resolution", "16", "--trials", "10"]
    assert main([*words, "--out", str(out), "--num", "30", "--title", "Digits"]) == 0
    assert "digits:test (30), clothes (30)" in capsys.readouterr().out
    study = api.study(out)
    assert [arm.generated for arm in study.arms] == [False, True]
    assert study.arms[0].source["content_hash"]
    assert main(["study", "report", str(out)]) == 0
    assert "No answer counts yet." in capsys.readouterr().out


def test_a_ranking_from_the_command_line(tmp_path, capsys, open_session):
    (tmp_path / "lines.txt").write_text("\n".join(f"item {index}" for index in range(20)))
    words = ["study", "new", "ranking", "--arms", "a=digits:test", "b=fashion:test", "c=emoji:test", "--layout", "order", "--matched"]
    words += [
        "--prompts",
        str(tmp_path / "lines.txt"),
        "--num",
        "20",
        "--trials",
        "10",
        "--practice",
        "0",
        "--attention",
        "0",
        "--attention-needed",
        "0",
        "--resolution",
        "16",
    ]
    assert main([*words, "--out", str(tmp_path / "study")]) == 0
    study = api.study(tmp_path / "study")
    assert study.settings.prompts[3] == "item 3"
    assert [arm.name for arm in study.arms] == ["a", "b", "c"]
    session = open_session(study)
    assert session.consent("anna")["prompt"].startswith("item ")


def test_a_study_of_a_run(tmp_path):
    api.train("dcgan", data="digits", out=tmp_path / "run", steps=1, width=8, batch=4)
    study = api.study(tmp_path / "study", kind="real-or-fake", real="digits:test", arms=[str(tmp_path / "run")], num=20, trials=8, practice=2)
    assert [arm.name for arm in study.arms] == ["digits:test", "run"]
    assert [len(arm.images) for arm in study.arms] == [20, 20]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study"], "needs one of new, serve, report; nothing came"),
        (["study", "new", "rankng"], "Nearest: ranking"),
        (["study", "serve", "nowhere"], "nowhere is no study"),
        (["study", "new", "ranking", "--arms", "ring8", "digits", "--out", "x"], "ring8 holds points"),
        (["study", "new", "real-or-fake", "--real", "digits", "--fake", "digits", "--out", "x", "--consent", "none.txt"], "--consent cannot be read"),
        (["study", "new", "ranking", "--arms", "digits", "--out", "x", "--displayms", "3"], "--display-ms"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) in (2, 3)
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
