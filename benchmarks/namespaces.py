"""Network namespaces as hosts: a server's with a bridge in it, and others whose cable ends there.

Needs Linux, root and iproute2. A host is cut off by pulling its cable at the bridge: from then on
it has no way to learn that nobody hears it, as with a switch that lost its power.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NETWORK = "10.77.{}.{}"  # each set of namespaces has its own third number
LENGTH = 24  # of the network's prefix
CLONE_NEWNET = 0x40000000  # setns(2)


class NoNamespaces(Exception):
    """This machine does not let us make them. The message says what was refused."""


@dataclass
class Network:
    """Hosts by name, each with an address; "server" is the first."""

    mark: str
    third: int
    hosts: list[str] = field(default_factory=list)

    def address(self, host: str) -> str:
        return NETWORK.format(self.third, self.hosts.index(host) + 1)

    def inside(self, host: str) -> list[str]:
        """What to put before a command line so that it runs on this host."""
        return [_ip(), "netns", "exec", self._namespace(host)]

    @contextlib.contextmanager
    def entered(self, host: str) -> Iterator[None]:
        """Move this process, and what it starts, to a host for a while."""
        libc = ctypes.CDLL(None, use_errno=True)
        with (
            Path("/proc/self/ns/net").open() as here,
            Path(f"/run/netns/{self._namespace(host)}").open() as there,
        ):
            if libc.setns(there.fileno(), CLONE_NEWNET):
                raise NoNamespaces(f"setns: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                libc.setns(here.fileno(), CLONE_NEWNET)

    def cut(self, host: str) -> None:
        self._at_bridge(host, "down")

    def mend(self, host: str) -> None:
        self._at_bridge(host, "up")

    def delay(self, host: str, *, rtt_ms: float) -> None:
        """Hold what leaves in both directions for half of it. Raises NoNamespaces without netem."""
        half = ["root", "netem", "delay", f"{rtt_ms / 2}ms", "limit", "100000"]
        for namespace, device in (
            (self._namespace(host), "cable"),
            (self._namespace("server"), self._port(host)),
        ):
            _run([_tc(), "-n", namespace, "qdisc", "add", "dev", device, *half])

    def add(self, host: str) -> None:
        self.hosts.append(host)
        namespace = self._namespace(host)
        _run([_ip(), "netns", "add", namespace])
        _run([_ip(), "-n", namespace, "link", "set", "lo", "up"])
        if host == "server":
            _run([_ip(), "-n", namespace, "link", "add", "bridge", "type", "bridge"])
            self._give_address(host, "bridge")
            return
        server = self._namespace("server")
        cable = ["type", "veth", "peer", "name", self._port(host), "netns", server]
        _run([_ip(), "-n", namespace, "link", "add", "cable", *cable])
        self._give_address(host, "cable")
        at_server = [_ip(), "-n", server, "link", "set", self._port(host)]
        _run([*at_server, "master", "bridge", "up"])

    def _give_address(self, host: str, device: str) -> None:
        here = [_ip(), "-n", self._namespace(host)]
        _run([*here, "address", "add", f"{self.address(host)}/{LENGTH}", "dev", device])
        _run([*here, "link", "set", device, "up"])

    def remove(self) -> None:
        for host in self.hosts:
            subprocess.run(
                [_ip(), "netns", "del", self._namespace(host)], check=False, capture_output=True
            )

    def _at_bridge(self, host: str, state: str) -> None:
        _run([_ip(), "-n", self._namespace("server"), "link", "set", self._port(host), state])

    def _namespace(self, host: str) -> str:
        return f"iria-{self.mark}-{host}"

    @staticmethod
    def _port(host: str) -> str:
        return f"to-{host}"[:15]  # the longest name of a device


@contextlib.contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """A server and these hosts. Raises NoNamespaces."""
    made = Network(mark=str(os.getpid()), third=os.getpid() % 250 + 1)
    try:
        for host in ("server", *hosts):
            made.add(host)
        yield made
    finally:
        made.remove()


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NoNamespaces(f"{' '.join(command[1:])}: {done.stderr.strip()}")


def _ip() -> str:
    return _program("ip")


def _tc() -> str:
    return _program("tc")


def _program(name: str) -> str:
    if os.getuid() != 0:
        raise NoNamespaces("only root may make network namespaces")
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise NoNamespaces(f"iproute2 is not installed: no {name}")
    return found
