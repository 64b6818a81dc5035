"""Time zones as readers choose them: names in use today, whatever they were called before."""

import functools
import zoneinfo
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

UTC = "UTC"
# The two files of the time zone database (IANA) that say which name is the present one. A zone of
# zone.tab keeps its name, though the database may store it as a link: Stockholm is not Berlin.
COUNTRIES, LINKS = "zone.tab", "tzdata.zi"
NOT_A_PLACE = ("Etc/", "SystemV/", "posix/", "right/")


def canonical(name: str) -> str | None:
    """The present name of a zone (Europe/Kiev is Europe/Kyiv); None if there is no such zone."""
    if name in choices():
        return name
    if name not in zoneinfo.available_timezones() and name not in _links():
        return None
    if name in ("Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Universal"):
        return UTC
    target = _links().get(name, name)
    return target if target in zoneinfo.available_timezones() else name


@functools.cache
def choices() -> tuple[str, ...]:
    """Every zone with a place in its name, and UTC, in the order of the alphabet."""
    known = zoneinfo.available_timezones()
    named = set(_countries() & known)
    if not named:  # a machine without that file: all names, old ones too
        named = {name for name in known if "/" in name and not name.startswith(NOT_A_PLACE)}
    return (*sorted(named), UTC)


def of(name: str) -> ZoneInfo:
    """The zone itself; UTC for a name that no longer means anything."""
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a folder is no zone either
        return ZoneInfo(UTC)


def place(name: str) -> str:
    """What people call it: "New York" for America/New_York."""
    return name.rpartition("/")[2].replace("_", " ")


def midnight(day: date, zone: str) -> datetime:
    """The first instant of a day on the clocks of a zone.

    Where clocks are put forward at midnight, fold 0 counts with the offset before the gap, and so
    gives the end of the gap: the first instant there is.
    """
    return datetime.combine(day, time(0), of(zone)).astimezone(ZoneInfo(UTC))


@functools.cache
def _countries() -> frozenset[str]:
    lines = _file(COUNTRIES).splitlines()
    return frozenset(line.split("\t")[2] for line in lines if line and not line.startswith("#"))


@functools.cache
def _links() -> dict[str, str]:
    """Old name -> present name."""
    rows = (line.split() for line in _file(LINKS).splitlines() if line.startswith("L "))
    return {row[2]: row[1] for row in rows}


def _file(name: str) -> str:
    for folder in zoneinfo.TZPATH:
        path = Path(folder) / name
        if path.is_file():
            return path.read_text()
    return ""
