"""The report of a study says what the analysis found, in words, as a page, as JSON and as a table of answers."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser

import pytest

from saddlepoint.human.answers import read_answers
from saddlepoint.human.raters import error_rule, order_rule, run_rater, strength_rule, threshold_rule
from saddlepoint.human.report import sentences, write_study_report

STUDIES = {
    "one": ("real-or-fake", "one", 3, {}, error_rule({1: 0.4, 2: 0.1}, 0.2)),
    "timed": ("real-or-fake", "one", 3, {"display_ms": 250}, error_rule({1: 0.4, 2: 0.1}, 0.2)),
    "staircase": ("real-or-fake", "one", 2, {"staircase": True}, threshold_rule(400)),
    "forced": ("real-or-fake", "pair", 3, {}, strength_rule([0, -1, -2])),
    "pairs": ("ranking", "pair", 3, {"ties": True}, strength_rule([0, -0.5, -1])),
    "best": ("ranking", "best", 3, {}, strength_rule([0, -0.5, -1])),
    "order": ("ranking", "order", 3, {"matched": True}, order_rule([0, -0.5, -1])),
}


class Balanced(HTMLParser):
    """Refuses a page whose elements do not close, or that loads anything."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert not {"src", "href"} & {name for name, _ in attrs}
        if tag not in ("meta", "line", "circle", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", STUDIES)
def test_every_kind_of_study_has_a_report(make_study, name, open_session):
    kind, layout, arms, settings, rule = STUDIES[name]
    study = make_study(kind, layout, arms=arms, num=60, trials=40, practice=2, title="Ours & <theirs>", **settings)
    session = open_session(study)
    for rater in ("anna", "ben"):
        run_rater(session, rater, rule)
    found = write_study_report(study.folder)
    assert json.loads((study.folder / "report.json").read_text())["results"]["answers"] == 80
    page = (study.folder / "report.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "Ours &amp; &lt;theirs&gt;" in page
    assert all(arm.name in page for arm in study.compared)
    assert "nan" not in re.sub(r"<style>.*</style>", "", page)
    told = "\n".join(sentences(found))
    assert "80 answers of 2 raters." in told
    assert ("HYPE∞" in told, "HYPE time" in told, "time limit" in told) == (name == "one", name == "staircase", name == "timed")


def test_the_table_of_answers_holds_every_answer(make_study, open_session):
    study = make_study("ranking", "pair", arms=2, trials=10, practice=2, attention=2, attention_needed=2)
    session = open_session(study)
    run_rater(session, "anna", strength_rule([1, 0]))
    write_study_report(study.folder)
    rows = list(csv.DictReader((study.folder / "answers.csv").read_text().splitlines()))
    stored = read_answers(study.folder)
    assert [int(row["trial"]) for row in rows] == [row.trial for row in stored] == list(range(14))
    assert {row["arms"] for row in rows if row["role"] == "main"} == {"arm0 arm1", "arm1 arm0"}
    assert sum(int(row["counted"]) for row in rows) == 10


def test_raters_left_out_are_said_first(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=10, practice=0, attention=6, attention_needed=6)
    session = open_session(study)
    run_rater(session, "anna", error_rule({1: 0.2}, 0.2))
    run_rater(session, "bored", error_rule({1: 0.2}, 0.2), attentive=False)
    lines = sentences(write_study_report(study.folder))
    assert lines[0] == "1 of 2 raters failed the attention checks and are left out."
    assert "One rater: the intervals say" in lines[2]
