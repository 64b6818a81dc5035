"""Which servers must be given one command at a time, for as long as this process lives."""

import logging

from iria_news.environment import SubmissionServer

log = logging.getLogger(__name__)

_out_of_step: set[tuple[str, int]] = set()


def takes_groups(server: SubmissionServer) -> bool:
    """Whether the server at this address has kept step with pipelined commands so far."""
    return _address(server) not in _out_of_step


def slow_down(server: SubmissionServer) -> None:
    """Remember that replies and commands did not match: no pipelining until restart (RFC 2920).

    May be called by several threads, and again for the same server.
    """
    if takes_groups(server):
        _out_of_step.add(_address(server))
        log.warning("%r is out of step: one command at a time until restart", server)


def forget() -> None:
    """Trust every server again, as after a restart."""
    _out_of_step.clear()


def _address(server: SubmissionServer) -> tuple[str, int]:
    return (server.unix_socket, 0) if server.unix_socket else (server.host, server.port)
