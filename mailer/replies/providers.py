"""What the large providers mean by their words. Read before everything else.

Sources: Google's list of errors (support.google.com/a/answer/3726730); for the others the replies
collected at smtp.codes and in Sisimai (sisimai.org), which cite the postmasters' pages; for docomo
and au what senders in Japan publish. SES and SendGrid: their words as senders know them.
"""

from mailer.replies.classes import MESSAGE, RCPT, Class, Rule

OUTLOOK = r"(hotmail|outlook|live|msn)\.[a-z.]{2,6}|windowslive\.com"
YAHOO = r"(yahoo|ymail|aol|rocketmail)\.[a-z.]{2,6}"
DOCOMO = r"docomo\.ne\.jp"
AU = r"ezweb\.ne\.jp|([a-z0-9-]{1,63}\.)?au\.com|uqmobile\.jp"

GOOGLE = (
    Rule("google:tls", Class.AUTH, status=r"7\.0", words=r"tls required for rcpt"),
    Rule("google:whitelist", Class.BLOCKED, status=r"7\.0", words=r"ip not in whitelist"),
    Rule(
        "google:rate",
        Class.RATE,
        status=r"7\.0",
        words=r"rate limited|unusual rate of|try again later, closing connection",
        permanent=False,
    ),
    Rule("google:limit", Class.RATE, words=r"daily (user )?sending (limit|quota)"),
)

MICROSOFT = (
    # RFC 5321 lets "mailbox unavailable" mean a policy, too; these servers mean the mailbox.
    Rule(
        "ms:5.5.0",
        Class.GONE,
        MESSAGE,
        status=r"5\.0",
        words=r"mailbox unavailable",
        domain=OUTLOOK,
        permanent=True,
    ),
    Rule(
        "ms:5.5.0-signed",  # own domains of people and firms, known by Microsoft's mark
        Class.GONE,
        MESSAGE,
        status=r"5\.0",
        words=r"mailbox unavailable \(s20\d{8}\)",
        permanent=True,
    ),
    Rule("ms:5.4.1", Class.OTHER, MESSAGE, status=r"4\.1", words=r"access denied", permanent=True),
    # The recipient takes mail from colleagues, or from a list of people, only.
    Rule("ms:members-only", Class.OTHER, MESSAGE, words=r"resolver\.rst\.(auth|notauth|restrict)"),
    Rule("ms:5.7.133", Class.OTHER, MESSAGE, status=r"7\.(124|129|13[3-6])", permanent=True),
    Rule("ms:5.2.121", Class.TRANSIENT, status=r"2\.12[12]"),  # this mailbox gets too much at once
    Rule("ms:5.7.515", Class.AUTH, status=r"7\.(509|515)"),
    Rule("ms:5.7.606-649", Class.BLOCKED, status=r"7\.6(0[6-9]|[1-4]\d)", permanent=True),
    Rule("ms:4.7.500-899", Class.RATE, status=r"7\.[5-8]\d\d", permanent=False),
    Rule("ms:rate", Class.RATE, words=r"\brp-00\d\b"),
    Rule("ms:blocked", Class.BLOCKED, words=r"\b(s3140|s3150|(sc|dy|ou)-00\d)\b"),
)

YAHOO_AND_AOL = (
    Rule("yahoo:deferred-for-good", Class.BLOCKED, words=r"\[ts03\]|permanently deferred"),
    Rule("yahoo:volume", Class.RATE, words=r"\[tss?\d\d\]|unexpected volume or user complaints"),
    Rule("yahoo:blocked", Class.BLOCKED, words=r"\[(bl\d\d|ph\d\d)\]"),
    Rule("yahoo:5.7.9", Class.AUTH, status=r"7\.9", words=r"policy reasons", permanent=True),
    Rule(
        "yahoo:gone",
        Class.GONE,
        MESSAGE,
        words=r"delivery error: dd (this user doesn't have a|@ is no longer valid)"
        r"|delivery error: dd .{0,80}\b(disabled|discontinued)|mailbox is disabled \(554\.30\)",
        permanent=True,
    ),
    Rule(
        "yahoo:not-found",
        Class.GONE,
        MESSAGE,
        words=r"mailbox not found",
        domain=YAHOO,
        permanent=True,
    ),
)

APPLE = (
    Rule("apple:auth", Class.AUTH, words=r"\[hme1\]"),
    Rule("apple:blocked", Class.BLOCKED, words=r"\[(cs01|hm08)\]"),
    Rule("apple:volume", Class.RATE, words=r"deferred due to excessive volume"),
    # 5.1.1, but its owner switched the address off and may switch it on again.
    Rule("apple:inactive", Class.OTHER, MESSAGE, words=r"inactive email address"),
)

# docomo and au answer "unknown user" for a mailbox that refuses us, too; after the message or
# without the address it is the refusal.
CARRIERS = (
    Rule("docomo:unknown", Class.GONE, RCPT, words=r"unknown user", domain=DOCOMO, permanent=True),
    Rule("docomo:refused", Class.OTHER, MESSAGE, words=r"unknown user", domain=DOCOMO),
    Rule("au:unknown", Class.GONE, RCPT, words=r"@>?: user unknown", domain=AU, permanent=True),
    Rule("au:refused", Class.OTHER, MESSAGE, words=r"user unknown", domain=AU),
)

RELAYS = (
    Rule(
        "postmark:inactive",
        Class.OTHER,
        MESSAGE,
        words=r"marked as inactive|inactive recipients",
        permanent=True,
    ),
    Rule(
        "ses:throttling",
        Class.RATE,
        words=r"throttling failure|maximum sending rate exceeded|daily message quota exceeded",
    ),
    Rule(
        "ses:sender",
        Class.SENDER_REFUSED,
        words=r"email address is not verified|sending (suspended|paused) for this account",
        permanent=True,
    ),
    Rule("sendgrid:credits", Class.RATE, words=r"maximum credits exceeded"),
    Rule(
        "sendgrid:login",
        Class.CREDENTIALS,
        words=r"unauthenticated senders not allowed",
        permanent=True,
    ),
    Rule(
        "sendgrid:sender",
        Class.SENDER_REFUSED,
        words=r"from address does not match a verified sender",
        permanent=True,
    ),
)

PROVIDERS = (*GOOGLE, *MICROSOFT, *YAHOO_AND_AOL, *APPLE, *CARRIERS, *RELAYS)
