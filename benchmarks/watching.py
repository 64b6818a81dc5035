"""The largest that each process and Redis ever were, sampled from outside. Linux only."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import redis

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 2**20


class Watch:
    """Call `look` every second or so; the maxima are in `peaks` and `redis_peak`, in bytes."""

    def __init__(self, redis_url: str = "") -> None:
        self.peaks: dict[str, int] = {}  # part -> the most that one process of it had resident
        self.redis_peak = 0
        self._redis = redis.Redis.from_url(redis_url) if redis_url else None

    def look(self, parts: Mapping[str, int | None]) -> None:
        """`parts` are names with the process each began as; its descendants count as it."""
        children = _children()
        for name, pid in parts.items():
            if pid is None:
                continue
            for member in _family(pid, children):
                self.peaks[name] = max(self.peaks.get(name, 0), _resident(member))
        if self._redis is not None:
            self._look_at_redis(self._redis)

    def _look_at_redis(self, client: "redis.Redis") -> None:
        found = client.info("memory")
        assert isinstance(found, dict)
        self.redis_peak = max(self.redis_peak, int(found["used_memory"]))

    def in_mib(self) -> dict[str, float]:
        return {name: round(size / MIB, 1) for name, size in sorted(self.peaks.items())}


def family(pid: int) -> list[int]:
    """A process and its descendants, now."""
    return _family(pid, _children())


def _family(pid: int, children: Mapping[int, Iterable[int]]) -> list[int]:
    found = [pid]
    for member in found:  # grows while we read it
        found.extend(children.get(member, ()))
    return found


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text()
        except OSError:  # it has ended meanwhile
            continue
        found[int(stat.rpartition(")")[2].split()[1])].append(int(folder.name))
    return found


def _resident(pid: int) -> int:
    """Bytes, shared memory such as PostgreSQL's buffers included."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
