"""The verbs, one after the other, on points: train, resume, sample, evaluate, report, info, list; and in two processes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from saddlepoint.cli.main import main

TRAIN = ["train", "wgan-gp", "--data", "ring8", "--width", "8", "--batch", "16", "--steps", "3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    command = [*TRAIN, "--out", str(folder), "--generator-optimizer", "rmsprop", "--generator-optimizer.lr", "1e-3", "--seed", "7"]
    assert main(command) == 0
    return folder


def last_round(run):
    return json.loads((run / "log.jsonl").read_text().splitlines()[-1])["round"]


def test_flags_reach_the_run(run):
    about = json.loads((run / "run.json").read_text())
    assert (about["recipe"], about["preset"], about["seed"], about["batch"], about["plan"]["steps"]) == ("wgan-gp", "toy", 7, 16, 3)
    assert about["config"]["width"] == 8
    assert about["config"]["generator_optimizer"] == {"kind": "RMSprop", "lr": 1e-3, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0}
    assert about["config"]["discriminator_optimizer"]["kind"] == "Adam"


def test_sample_writes_an_array(run, tmp_path, capsys):
    assert main(["sample", str(run), "--num", "5", "--out", str(tmp_path / "points.npy")]) == 0
    assert np.load(tmp_path / "points.npy").shape == (5, 2)
    assert capsys.readouterr().out == f"{tmp_path / 'points.npy'}\n"


def test_evaluate_gives_score_floor_and_protocol(run, capsys):
    assert main(["evaluate", str(run), "--num", "100", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    metric = scores["protocol"]["metric"]
    assert scores[metric] > scores["floor"][metric]


def test_report_makes_a_page(run, capsys):
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    assert "wgan-gp" in (run / "report.html").read_text()


def test_info_of_a_run_and_of_the_installation(run, capsys):
    assert main(["info", str(run), "--json"]) == 0
    assert 3 in json.loads(capsys.readouterr().out)["checkpoints"]
    assert main(["info", str(run)]) == 0
    assert "recipe: wgan-gp\n" in capsys.readouterr().out
    assert main(["info"]) == 0
    assert "torch: 2." in capsys.readouterr().out


def test_list_as_tables_and_as_json(capsys):
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"dcgan", "wgan-gp"} <= {recipe["name"] for recipe in listed["recipes"]}
    assert {"fashion", "emoji", "ring8"} <= {card["name"] for card in listed["data"]}
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert all(recipe["title"] in shown for recipe in listed["recipes"])
    assert "Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville\n" in shown


def test_resume_goes_on(run, capsys):
    assert main(["resume", str(run), "--steps", "5"]) == 0
    assert last_round(run) == 5
    assert capsys.readouterr().out == f"{run}\n"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("train wgan-pg --data ring8 --out x", "There is no recipe 'wgan-pg'. Nearest: wgan-gp"),
        ("train wgan-gp --data ring9 --out x", "ring8"),
        ("train wgan-gp --data ring8 --out x --preset papr", "wgan-gp has no preset 'papr'. Nearest: paper"),
        ("train wgan-gp --data ring8 --out x --bach 3", "has no flag '--bach'. Nearest: --batch"),
        ("train wgan-gp --data ring8 --out x --steps 1 --minutes 1", "one of steps, minutes and kimg"),
        ("train wgan-gp --data ring8", "--out"),
        ("train wgan-gp --data ring8 --out x --processes two", "--processes needs a number; it is 'two'."),
        ("train wgan-gp --data ring8 --out x --processes 0", "--processes must be at least 1; it is 0."),
        ("train --out somewhere", "Which recipe, and which data?"),
        ("train --data ring8", "needs --out RUN"),
        ("resume nowhere", "nowhere is not a run folder"),
        ("evaluate ring8", "--against"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(command, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("saddlepoint: error: ")
    assert said.count("\n") == 1
    assert line in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "code"), [("--version", 0), ("trian", 2)])
def test_two_processes_pass_their_exit_code_on(command, code):
    program = f"from saddlepoint.cli.launch import launch; raise SystemExit(launch([{command!r}], 2))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == code
    assert "Traceback" not in result.stderr


def test_train_in_two_processes(tmp_path):
    command = [sys.executable, "-m", "saddlepoint", *TRAIN, "--out", str(tmp_path / "run"), "--processes", "2"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'run'}\n")
    assert last_round(tmp_path / "run") == 3
