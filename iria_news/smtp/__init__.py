"""One connection to the submission server: open it, submit messages one by one, close it.

Connecting, TLS and authentication are the standard library's. The envelope is ours, for two
reasons: smtplib does not pipeline (RFC 2920), and it tells "certainly not sent" from "nobody
knows" for no failure. Knows bytes and addresses, nothing of editions or readers.

    results  ->  replies  ->  dialogue  ->  session        `line` connects, `pace` remembers who
                                                           cannot be pipelined to
"""

from iria_news.smtp.dialogue import Dialogue
from iria_news.smtp.replies import OutOfStep, Replies
from iria_news.smtp.results import Kind, Result, ServerUnavailable, without_addresses
from iria_news.smtp.session import Session
from iria_news.smtp.syntax import END, escape_dots, xtext

__all__ = [
    "END",
    "Dialogue",
    "Kind",
    "OutOfStep",
    "Replies",
    "Result",
    "ServerUnavailable",
    "Session",
    "escape_dots",
    "without_addresses",
    "xtext",
]
