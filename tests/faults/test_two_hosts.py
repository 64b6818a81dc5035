"""G1 to G3 across machines: one of two hosts loses its network in the middle of an edition.

The quick form of `python -m benchmarks.two_hosts`, which starts its own PostgreSQL whatever
database the rest of the run has: two hosts need one. So it is played in one of the two runs only.
"""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from benchmarks import namespaces
from benchmarks.machine import ROOT

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(not settings.IS_SQLITE, reason="the run on SQLite has played it"),
]


def play(how: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.two_hosts", "--recipients", "400", "--how", how],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check(found: dict) -> None:
    assert found["broken"] == []
    book = found["books"]
    assert book["distinct"] == book["by_state"]["sent"] == 400
    assert book["copies"] <= found["copies_allowed"]
    assert book["lost"] == book["foreign_copies"] == 0


def can_make_hosts() -> bool:
    if os.getuid() != 0:
        return False
    try:
        with namespaces.network("a"):
            return True
    except namespaces.NoNamespaces:
        return False


def test_a_host_whose_cable_is_pulled_costs_nobody_a_mail():
    if not can_make_hosts():
        pytest.skip("network namespaces need root; the next test does without")
    check(play("namespaces"))


def test_a_host_behind_a_line_that_falls_silent_costs_nobody_a_mail():
    check(play("proxies"))
