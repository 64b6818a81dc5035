"""What a mail system means when it refuses or defers a message.

One table for replies of submission servers, bounce reports and events of providers. Pure: no
model, no query, no clock. What follows for a delivery is decided elsewhere.
"""

from mailer.replies.classes import Class, Reply, Rule, Ruling
from mailer.replies.general import GENERAL
from mailer.replies.providers import PROVIDERS
from mailer.replies.reading import clean, found_status, is_permanent, subject_and_detail

__all__ = ["RULES", "Class", "Rule", "Ruling", "classify"]

RULES: tuple[Rule, ...] = (*PROVIDERS, *GENERAL)


def classify(*, stage: str, code: int, enhanced: str, text: str, domain: str = "") -> Ruling:
    """Name the class of a reply that is no "yes", and the rule that decided.

    `stage` is where it came: "connect", "ehlo", "tls", "auth", "address", "mail", "rcpt", "data",
    "dot", or "" if nobody knows, as in many reports. `code` is the reply code (RFC 5321), 0
    without one; `enhanced` the status of RFC 3463, or ""; `domain` the recipient's, if known.

    The reply code alone decides whether the refusal is permanent, also against the enhanced
    status. Only a permanent one can be `gone`. Takes any values, never raises, and reads the first
    1,000 characters of the text only.
    """
    status = subject_and_detail(enhanced) or (found_status(text) if code else "")
    reply = Reply(
        stage=stage,
        code=str(code),
        status=status,
        words=clean(text),
        domain=domain.strip().rstrip(".").lower(),
        is_permanent=is_permanent(code, enhanced),
    )
    rule = next(rule for rule in RULES if rule.fits(reply))  # the last one fits everything
    return Ruling(rule.id, rule.cls, permanent=reply.is_permanent)
