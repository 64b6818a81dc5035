"""What the README promises is there: settings, commands, tests, pictures."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "iria_news" / "settings.py").read_text()


def test_every_setting_is_explained_and_nothing_else():
    explained = re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', SETTINGS))

    assert set(explained) == read
    assert len(explained) == len(read)


def test_the_example_file_names_the_same_settings():
    named = re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert named == re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)


def test_every_command_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    ours = set(get_commands())

    assert set(re.findall(r"`make ([a-z-]+)", README)) <= targets
    assert set(re.findall(r"`manage\.py ([a-z_]+)", README)) <= ours


@pytest.mark.parametrize("path", re.findall(r"`(tests/[\w/]+\.py)`", README))
def test_the_tests_behind_the_guarantees_exist(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((docs/[^)]+)\)", README))))
def test_what_the_readme_shows_is_there_and_small(path):
    assert (ROOT / path).is_file()
    assert (ROOT / path).stat().st_size <= 150_000
