"""An email address as typed: checked, comparable, hashable, masked. Asks no network."""

import functools
import re
import unicodedata
from dataclasses import dataclass

import email_validator
import idna
from django.utils.translation import gettext, gettext_noop
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from iria_news import keys

LONGEST = 254  # characters, RFC 5321 section 4.5.3.1.3 less the angle brackets
LONGEST_LOCAL_PART = 64  # characters, RFC 5321 section 4.5.3.1.1
# What most addresses have before the @; RFC 5321 section 4.1.2 allows more.
PLAIN = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
FOLDED_BY_THE_VALIDATOR = frozenset(CASE_INSENSITIVE_MAILBOX_NAMES)  # RFC 2142: Abuse is abuse
EXAMPLE = gettext_noop("It should look like name@example.org.")
# They end lines or strings somewhere on the way and could smuggle in a header of their own.
NEVER_IN_AN_ADDRESS = frozenset("\r\n\0\u0085\u2028\u2029")

# Domains that many readers have, and what is typed for them. Only spellings that no mail
# provider of that name uses: a suggestion that is wrong costs more trust than it saves.
OFTEN_MISTYPED = {
    "gmail.com": "gmial.com gmai.com gmal.com gamil.com gnail.com gmail.con gmail.co gmail.cm "
    "gmail.comm gmaill.com gmil.com gmaul.com gmsil.com ggmail.com",
    "googlemail.com": "googelmail.com googlemial.com googlemail.con",
    "hotmail.com": "hotmial.com hotmai.com hotmal.com hotmil.com hotmail.con hotmail.co "
    "homail.com hotnail.com hotmaill.com",
    "outlook.com": "outlok.com outloook.com outlook.con outlook.co outlock.com oulook.com",
    "yahoo.com": "yaho.com yahooo.com yahoo.con yhaoo.com yhoo.com yahoo.comm",
    "icloud.com": "iclod.com icloud.con icoud.com icloud.co iclould.com",
    "proton.me": "protn.me proton.mee",
    "web.de": "wep.de web.dee",
    "gmx.de": "gmx.dee gxm.de",
}
MEANT = {typed: meant for meant, spellings in OFTEN_MISTYPED.items() for typed in spellings.split()}


class BadAddress(ValueError):
    """Nobody can be written to at this address. The message is a sentence for the reader."""


@dataclass(frozen=True)
class Address:
    """One mailbox. Two spellings of it have the same `key` and the same `hash`."""

    address: str  # what we write to
    key: str  # for comparing only
    hash: str  # what a Suppression holds


def parse(typed: str) -> Address:
    """Check an address without asking the network. Raises BadAddress with what to change.

    The local part stays exactly as typed, for only its server knows what upper case means there.
    So does a domain in ASCII; any other is kept as its A-label (IDNA 2008), which every mail
    server takes.
    """
    trimmed = unicodedata.normalize("NFC", typed.strip(" \t"))
    _refuse_the_obvious(trimmed)
    local_part, domain, ascii_domain = _checked(trimmed)
    key = f"{local_part.casefold()}@{ascii_domain.lower()}"
    return Address(f"{local_part}@{domain}", key, hash_of(key))


def _checked(trimmed: str) -> tuple[str, str, str]:
    """The local part, the domain to write to, and its A-label. Raises BadAddress.

    Lists hold a few domains many times over, and judging one is most of the work: of plain
    addresses each domain is asked about once.
    """
    local_part, _, domain = trimmed.partition("@")
    is_plain = PLAIN.fullmatch(local_part) and len(local_part) <= LONGEST_LOCAL_PART
    try:
        if is_plain and domain.isascii() and local_part.lower() not in FOLDED_BY_THE_VALIDATOR:
            return local_part, domain, _ascii_domain(domain)
        checked = _validated(trimmed)
    except email_validator.EmailNotValidError as error:
        raise _bad(gettext("The address “{typed}” cannot be right."), trimmed) from error
    kept = domain if domain.isascii() else checked.ascii_domain
    return checked.local_part, kept, checked.ascii_domain


@functools.lru_cache(maxsize=10_000)
def _ascii_domain(domain: str) -> str:
    return _validated(f"a@{domain}").ascii_domain


def _validated(address: str) -> email_validator.ValidatedEmail:
    return email_validator.validate_email(
        address, check_deliverability=False, allow_smtputf8=False, strict=True
    )


def hash_of(key: str) -> str:
    """The one-way mark of an address key, which outlives the erasure of its owner."""
    return keys.keyed_hash("address", key)


def suggestion(address: Address) -> str:
    """The address that was probably meant, or nothing. Only ever a question to the reader."""
    local_part, _, domain = address.address.rpartition("@")
    meant = MEANT.get(domain.lower())
    return f"{local_part}@{meant}" if meant else ""


def masked(address: str) -> str:
    """Show enough for its owner to know it again, and not enough for a reader of the link."""
    local_part, _, domain = address.rpartition("@")
    if not local_part:
        return ""
    try:
        shown = idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        shown = domain
    return f"{local_part[0]}•••@{shown}"


def _refuse_the_obvious(typed: str) -> None:
    """Say precisely what the usual mistakes are; the validator judges the rest."""
    if not typed:
        raise _bad(gettext("Enter your email address."))
    if NEVER_IN_AN_ADDRESS.intersection(typed):
        raise _bad(gettext("The address has a line break in it."))
    if len(typed) > LONGEST:
        too_long = gettext("The address is longer than {most} characters.")
        raise _bad(too_long.format(most=LONGEST))
    if "@" not in typed:
        raise _bad(gettext("The address “{typed}” has no @ sign."), typed)
    if typed.count("@") > 1:
        raise _bad(gettext("The address “{typed}” has more than one @ sign."), typed)
    if any(character.isspace() for character in typed):
        raise _bad(gettext("The address “{typed}” has a blank in it."), typed)
    _refuse_half_an_address(typed)


def _refuse_half_an_address(typed: str) -> None:
    local_part, _, domain = typed.partition("@")
    if not local_part:
        raise _bad(gettext("The address “{typed}” has nothing before the @ sign."), typed)
    if not domain:
        raise _bad(gettext("The address “{typed}” has nothing after the @ sign."), typed)
    if "." not in domain and domain.isascii():
        raise _bad(gettext("The address “{typed}” has no dot after the @ sign."), typed)
    for character in local_part:
        if not character.isascii():
            sentence = gettext(
                "Letters such as {letter} before the @ do not reach our mail server yet. "
                "Use another address if you have one."
            )
            raise BadAddress(sentence.format(letter=character))


def _bad(sentence: str, typed: str = "") -> BadAddress:
    """The sentence about what was typed, and how an address looks."""
    return BadAddress(f"{sentence.format(typed=typed)} {gettext(EXAMPLE)}")
