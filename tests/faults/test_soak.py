"""Everything at once, in small: the quick form of `make soak`.

Kills, a flushed Redis and, on PostgreSQL, a restart as after a power cut, while people use the
site. No times are judged here: those of a full run are in docs/benchmarks.md.
"""

import json
import subprocess
import sys

import pytest

from benchmarks.machine import ROOT

pytestmark = pytest.mark.fault


def test_a_service_that_is_hurt_in_every_way_loses_nobody(tmp_path, request):
    result = tmp_path / "soak.json"
    database = request.config.getoption("--db")
    # Not below tmp_path: the database runs as another user, who may not look into it.
    folder = ROOT / "build" / f"soak-test-{database}"
    arguments = ["--recipients", "2000", "--cohorts", "20", "--kills", "3", "--db", database]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.soak", *arguments),
            *("--folder", str(folder), "--result", str(result)),
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.exists(), done.stdout + done.stderr
    found = json.loads(result.read_text())

    assert found["broken"] == []
    assert found["books"]["settled"]
    assert len(found["kills"]) == 3
    assert found["books"]["lost"] == 0
    assert found["books"]["copies"] <= found["copies_allowed"]
    assert found["confirming"]["number"] > 0
    assert found["pages"]["left"] > 0
