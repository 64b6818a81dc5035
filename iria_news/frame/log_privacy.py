"""Keeps tokens of readers' links out of the logs: whoever reads a log must not act for a reader."""

import logging
import re

TOKEN_PATH = re.compile(
    r"(/(?:u|confirm|preferences|undo|less|address|editions/private)/)[^/\s\"'>]+"
)


class MaskTokens(logging.Filter):
    """Replaces what follows /u/, /confirm/, /preferences/ ... in a record's words."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                mask(part) if isinstance(part, str) else part for part in record.args
            )
        record.msg = mask(record.msg) if isinstance(record.msg, str) else record.msg
        return True


def mask(text: str) -> str:
    return TOKEN_PATH.sub(r"\1(token)", text)
