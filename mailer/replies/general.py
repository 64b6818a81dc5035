"""What replies mean if no provider's words were known. Read top to bottom.

First what ends a session; then words and codes that speak of us, because a filter may dress its
"no" as "unknown user"; then the mailbox; then bare reply codes.
"""

from mailer.replies.classes import MESSAGE, OPENING, RCPT, Class, Rule

SESSION = (
    Rule(
        "certificate",
        Class.CREDENTIALS,
        OPENING,
        words=r"certificate[ _]verify[ _]failed|hostname mismatch",
    ),
    Rule("no-starttls", Class.CREDENTIALS, frozenset({"tls"}), words=r"starttls extension not"),
    Rule("tls:5xx", Class.CREDENTIALS, frozenset({"tls"}), permanent=True),
    Rule(
        "no-login",  # as smtplib says it: no AUTH, no common mechanism, a password it cannot write
        Class.CREDENTIALS,
        frozenset({"auth"}),
        words=r"auth extension not|no suitable authentication|codec can't encode",
    ),
    Rule("auth:5xx", Class.CREDENTIALS, frozenset({"auth"}), permanent=True),
    Rule("530", Class.CREDENTIALS, code=r"53[045]"),  # RFC 4954 section 6
    Rule(
        "sender:5xx", Class.SENDER_REFUSED, frozenset({"connect", "ehlo", "mail"}), permanent=True
    ),
    Rule("unreachable", Class.TRANSIENT, OPENING, code="0"),
    Rule("address", Class.OTHER, frozenset({"address"}), status=r"1\.3"),  # nobody was asked
)

OURSELVES = (
    Rule(
        "text:relay",
        Class.SENDER_REFUSED,
        words=r"relay(ing)?( access| is)? (denied|prohibited|not (permitted|allowed))"
        r"|(unable|permitted|allowed) to relay|(cannot|do not|don't|credentials for) relay",
        permanent=True,
    ),
    Rule(
        "text:sender",
        Class.SENDER_REFUSED,
        words=r"sender (address |domain )?(rejected|denied|refused|verify fail|verification fail)"
        r"|domain of sender|not owned by user|to send as this sender|not allowed to send (as|from)"
        r"|sender('s)? (mailbox|domain) (not found|does not exist|unknown)"
        r"|\bfrom (header|address)\b.{0,30}(invalid|not valid)|invalid from\b",
        permanent=True,
    ),
    Rule("5.1.7", Class.SENDER_REFUSED, status=r"1\.[78]", permanent=True),  # bad sender address
    Rule("x.7.28", Class.RATE, status=r"7\.28"),
    Rule("x.7.20-32", Class.AUTH, status=r"7\.(2\d|3[0-2])"),
    Rule(
        "text:connection-cap",
        Class.CONNECTION_CAP,
        words=r"(messages?|mails?|recipients|transactions) (per|in|on|for|over)"
        r" (this |one |a |the |each )?(smtp )?(session|connection)",
    ),
    Rule("4.5.3", Class.CONNECTION_CAP, status=r"5\.3", permanent=False),
    Rule("5.5.3", Class.RATE, status=r"5\.3", permanent=True),  # we name one recipient a message
    Rule(
        "text:connections",
        Class.RATE,
        words=r"too many (concurrent |simultaneous |open )?(smtp )?(connections|sessions)"
        r"|connection (rate|limit)",
    ),
    Rule("text:greylist", Class.TRANSIENT, words=r"gr[ae]y[ -]?list"),
    Rule("text:too-quickly", Class.TRANSIENT, words=r"too quickly|receiving mail at a rate"),
    Rule(
        "text:rate",
        Class.RATE,
        words=r"too many (\w{1,12} )?(invalid|unknown|bad|non-?existent|wrong) "
        r"(recipients?|users?|addresses|mailboxes)|rate[ -]limit|throttl|slow down"
        r"|sending (rate|limit|quota)|(hourly|daily) (\w{1,12} )?limit"
        r"|too many (messages|mails|e-?mails|recipients|requests)",
    ),
    Rule(
        "text:auth",
        Class.AUTH,
        words=r"\b(spf|dkim|dmarc|ptr|rdns)\b|unauthenticated|reverse (dns|hostname|lookup)",
    ),
)

ROOM = (
    Rule("x.2.2", Class.FULL, status=r"2\.2"),
    Rule("x.2.3", Class.SIZE, status=r"2\.3|3\.4"),
    Rule("4.3.1", Class.TRANSIENT, status=r"3\.1", permanent=False),  # their disk, no mailbox
    Rule(
        "text:quota",
        Class.FULL,
        words=r"over[ -]?quota|quota (is |has been )?(exceeded|full|violation)"
        r"|exceed\w{0,3} (the |its |their )?(mailbox |disk )?(quota|storage|allocation)"
        r"|(mailbox|inbox|maildir|account) (is )?full|mailbox for .{1,64} is full"
        r"|out of storage|too much mail data|insufficient (disk )?(space|quota)",
    ),
    Rule(
        "text:size",
        Class.SIZE,
        words=r"(message|mail|size|data|body|header)( is)? too (big|large)|message too (big|large)"
        r"|message size|maximum size|size limit",
    ),
)

FILTERS = (
    Rule(
        "text:blocked",
        Class.BLOCKED,
        words=r"(block|black|deny)[ -]?list|\b(dns|r)bl\b|spamhaus|spamcop|sorbs|surbl|uribl"
        r"|\b(anti-?)?spam\b|unsolicited|reputation|\b(blocked|banned)\b|suspicious|phish"
        r"|(local|security|content|site|our) polic|policy (reason|violation|reject)",
    ),
)

MAILBOX = (
    # A permanent code that speaks of later or of access is not about a mailbox that is gone.
    Rule(
        "text:doubtful",
        Class.OTHER,
        MESSAGE,
        status=r"([12]\.\d{1,3})?",
        words=r"temporar|(again|retry) later|access denied|may not exist"
        r"|\bldap\b|(directory|backend) lookup fail|\b(ip|host) is not allowed"
        r"|(unknown|exist|found|valid),? or (\w{1,12} )?(blocked|denied|not allowed|disallowed)",
        permanent=True,
    ),
    Rule("5.1.1", Class.GONE, MESSAGE, status=r"1\.1", permanent=True),
    Rule("5.1.3", Class.GONE, MESSAGE, status=r"1\.3", permanent=True),
    Rule("5.1.6", Class.GONE, MESSAGE, status=r"1\.6", permanent=True),
    Rule("5.1.10", Class.GONE, MESSAGE, status=r"1\.10", permanent=True),  # null MX, RFC 7505
    Rule(
        "5.1.2:nxdomain",
        Class.GONE,
        MESSAGE,
        status=r"1\.2",
        words=r"nxdomain|(host|domain)( name)? (not found|does not exist)|no such domain",
        permanent=True,
    ),
    Rule(
        "5.2.1:disabled",
        Class.GONE,
        MESSAGE,
        status=r"2\.1",
        words=r"\bdisabled\b",
        permanent=True,
    ),
    Rule("4.2.1", Class.TRANSIENT, status=r"2\.1", permanent=False),
    Rule("4.3.x", Class.TRANSIENT, status=r"[34]\.\d{1,3}", permanent=False),
    Rule("5.5.1", Class.PROTOCOL, status=r"5\.[124]", permanent=True),
    Rule("x.6.x", Class.CONTENT, status=r"6\.\d{1,3}"),
    Rule("5.7.x", Class.BLOCKED, status=r"7\.\d{1,3}", permanent=True),
    Rule("4.7.x", Class.TRANSIENT, status=r"7\.\d{1,3}", permanent=False),
    Rule(
        "text:unknown",  # only where the recipient was the question
        Class.GONE,
        RCPT,
        words=r"(user|recipient|mailbox|account|addressee)( is)?( unknown| not found)"
        r"|unknown (user|recipient|mailbox|local)|invalid (recipient|mailbox)"
        r"|no such (user|recipient|mailbox|local user|person)|no mailbox here"
        r"|(user|recipient|mailbox|account)[\s:<@>]{1,5}(does not|doesn't) exist",
        permanent=True,
    ),
)

CODES = (
    Rule("551", Class.GONE, RCPT, code="551"),
    Rule("556", Class.GONE, MESSAGE, code="556"),  # the domain takes no mail, RFC 7504
    Rule("552", Class.FULL, code="552"),
    Rule(
        "text:content",
        Class.CONTENT,
        frozenset({"data", "dot"}),
        words=r"virus|malware|malformed|bare (lf|cr|line)|rfc ?5?[82]22|not rfc compliant",
        permanent=True,
    ),
    Rule("554:dot", Class.CONTENT, frozenset({"dot"}), code="554", status=r"(0\.0)?"),
    Rule("500-504", Class.PROTOCOL, code=r"50[0-4]"),
    Rule("421", Class.TRANSIENT, code="421"),
    Rule("451", Class.TRANSIENT, code=r"45[12]"),
    Rule("other:5xx", Class.OTHER, permanent=True),
    Rule("other:4xx", Class.OTHER),
)

GENERAL = (*SESSION, *OURSELVES, *ROOM, *FILTERS, *MAILBOX, *CODES)
