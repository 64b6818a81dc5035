"""In which encoding a file was saved: told by its first bytes, or by what makes sense."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

BLOCK = 1_000_000  # bytes read at a time
SAMPLE = 1_000_000  # bytes in which Japanese is looked for

# Of two-byte characters in Japanese text nearly all begin with a byte up to this one, and stand
# beside another. "O’Brien" or "Müller" in cp1252 make single ones, mostly with higher bytes.
LAST_COMMON_LEAD = 0x9F
MOSTLY = 0.6
BESIDE_ANOTHER = re.compile(r"[^\x00-\x7f\uff61-\uff9f]{2,}")
WIDE = re.compile(r"[^\x00-\x7f\uff61-\uff9f]")  # without half-width katakana, one byte each


class BadFile(Exception):
    """Nothing of this file can be used. The message is a sentence with the way on."""


def encoding_of(path: Path) -> str:
    """UTF-8 and UTF-16 with or without their marks, cp932, cp1252, latin-1.

    Reads the whole file, in blocks: what this returns decodes to its last byte, without a NUL.
    Raises BadFile.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise BadFile("It is empty. Nothing was read.")
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise BadFile("It is in UTF-32. Save it as CSV in UTF-8, and try again.")
    if marked := _marked(start):
        _demand(path, marked)
        return marked
    if _decodes(path, "utf-8"):
        return "utf-8"
    _refuse_broken_utf8(path)
    if _is_japanese(path):
        return "cp932"
    return "cp1252" if _decodes(path, "cp1252") else "latin-1"


def _marked(start: bytes) -> str:
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Every other byte of Latin text in UTF-16 is NUL; in a broken file they stand anywhere.
    even, odd = start[::2].count(0), start[1::2].count(0)
    if odd > len(start) // 5 and even == 0:
        return "utf-16-le"
    if even > len(start) // 5 and odd == 0:
        return "utf-16-be"
    return ""


def _demand(path: Path, encoding: str) -> None:
    if not _decodes(path, encoding):
        raise BadFile(
            "It holds half characters (lone surrogates) or was cut off, so it is no "
            f"{encoding.upper().removesuffix('-SIG')}. Save it anew as CSV in UTF-8."
        )


def _decodes(path: Path, encoding: str) -> bool:
    """Whether the whole file is this encoding. Raises BadFile for NUL, which no text has."""
    try:
        for text in _decoded(path, encoding, "strict"):
            if "\0" in text:
                raise BadFile(
                    "It holds NUL bytes, so it is no text: a spreadsheet itself, perhaps, or an "
                    "archive. Save it as CSV in UTF-8."
                )
    except UnicodeDecodeError:
        return False
    return True


def _decoded(path: Path, encoding: str, errors: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def _refuse_broken_utf8(path: Path) -> None:
    """Better a sentence than every name turned into nonsense by a guess at another encoding."""
    good = broken = 0
    for text in _decoded(path, "utf-8", "replace"):
        replaced = text.count("\ufffd")
        broken += replaced
        good += len(text) - len(text.encode("ascii", "ignore")) - replaced
    if good > broken or _has_surrogates(path):
        raise BadFile(
            "It is UTF-8 with bytes in it that are none, such as lone surrogates. "
            "Save it anew as CSV in UTF-8."
        )


def _has_surrogates(path: Path) -> bool:
    try:
        for _ in _decoded(path, "utf-8", "surrogatepass"):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _is_japanese(path: Path) -> bool:
    if not _decodes(path, "cp932"):
        return False
    text = next(_decoded(path, "cp932", "strict"))[:SAMPLE]
    wide = WIDE.findall(text)
    common = sum(letter.encode("cp932")[0] <= LAST_COMMON_LEAD for letter in wide)
    beside = sum(len(run) for run in BESIDE_ANOTHER.findall(text))
    return bool(wide) and min(common, beside) >= MOSTLY * len(wide)
