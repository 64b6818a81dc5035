"""Replies as servers send them (shortened), with their class and the rule that decides."""

import re

from iria_news.smtp import Kind, Result

# rule, stage[@recipient's domain] ("-": stage unknown), reply; code 0 is an error of the line
SAMPLES = """
== gone
5.1.1             rcpt@gmail.com    550 5.1.1 The email account that you tried to reach does not exist.
5.1.1             rcpt@gmail.com    550 5.1.1 https://support.google.com/mail/?p=NoSuchUser - gsmtp
5.1.1             rcpt@icloud.com   550 5.1.1 <a@icloud.com>: user does not exist
5.1.1             rcpt              550 5.1.1 <a@b.test>: Recipient address rejected: User unknown
5.1.1             rcpt              550 5.1.1 <spam-blocked@b.test> User unknown; rejecting
5.1.1             dot               550 5.1.1 User doesn't exist: a@b.test
5.1.1             -                 550 sorry, no mailbox here by that name. (#5.1.1)
5.1.1             rcpt              550 cuda_nsu 5.1.1 <a@b.test> Recipient address rejected
5.1.3             rcpt              501 5.1.3 Bad recipient address syntax
5.1.3             rcpt              553 5.1.3 User address required
5.1.6             rcpt@icloud.com   550 5.1.6 recipient no longer on server: a@icloud.com
5.1.10            rcpt@outlook.com  550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found
5.1.10            rcpt              550 5.1.10 <a@b.test>: Domain b.test does not accept mail (nullMX)
5.1.2:nxdomain    rcpt              550 5.1.2 <a@b.test>: Recipient address rejected: Domain not found
5.1.2:nxdomain    rcpt              553 5.1.2 Host lookup failed: NXDOMAIN
5.2.1:disabled    rcpt@gmail.com    550 5.2.1 The email account that you tried to reach is disabled.
551               rcpt              551 User not local; please try <a@c.test>
556               rcpt              556 Domain does not accept mail
ms:5.5.0          rcpt@hotmail.com  550 5.5.0 Requested action not taken: mailbox unavailable
ms:5.5.0          rcpt@live.co.uk   550 5.5.0 Requested action not taken: mailbox unavailable.
ms:5.5.0-signed   rcpt@firm.test    550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).
yahoo:gone        dot@yahoo.com     554 delivery error: dd This user doesn't have a yahoo.com account
yahoo:gone        dot@yahoo.co.jp   554 delivery error: dd This user doesn't have a yahoo.co.jp account [-5]
yahoo:gone        dot@att.net       554 30 Sorry, your message to a@att.net cannot be delivered. This mailbox is disabled (554.30)
yahoo:gone        dot@yahoo.com     554 delivery error: dd Sorry your message to a@yahoo.com cannot be delivered. This mailbox is disabled
yahoo:not-found   dot@yahoo.com     552 1 Requested mail action aborted, mailbox not found
docomo:unknown    rcpt@docomo.ne.jp 550 Unknown user a@docomo.ne.jp
au:unknown        rcpt@ezweb.ne.jp  550 <a@ezweb.ne.jp>: User unknown
text:unknown      rcpt@softbank.jp  550 Invalid recipient: <a@i.softbank.jp>
text:unknown      rcpt              550 No Such User Here
text:unknown      rcpt              550 5.3.0 <a@b.test>... User unknown
text:unknown      rcpt@att.net      550 5.2.1 <a@att.net>... Addressee unknown
text:unknown      rcpt              550 mailbox <a@b.test> does not exist
== full
x.2.2             rcpt@gmail.com    452 4.2.2 The recipient's inbox is out of storage space.
x.2.2             rcpt@gmail.com    552 5.2.2 The recipient's inbox is out of storage space and inactive.
x.2.2             rcpt@icloud.com   552 5.2.2 <a@icloud.com>: user is over quota
x.2.2             rcpt              550 4.2.2 mailbox full
text:quota        rcpt              550 5.1.1 <a@b.test>: Mailbox full
text:quota        dot               552 Requested mail action aborted: exceeded storage allocation
text:quota        dot@gmail.com     550 5.7.1 Email quota exceeded
text:quota        rcpt@docomo.ne.jp 552 Too much mail data a@docomo.ne.jp
text:quota        -                 0 5.3.0 mailbox for user is full
552               rcpt              552 Requested action aborted
== transient
text:greylist     rcpt              451 4.7.1 Greylisting in action, please come back later
text:greylist     rcpt              450 4.2.0 <a@b.test>: Recipient address rejected: Greylisted
4.7.x             rcpt              451 4.7.1 Service unavailable - try again later
4.7.x             dot@gmail.com     421 4.7.0 Temporary System Problem. Try again later
text:too-quickly  rcpt@gmail.com    450 4.2.1 The user you are trying to contact is receiving mail too quickly.
text:too-quickly  rcpt@gmail.com    550 5.2.1 The user is receiving mail at a rate that prevents additional messages
text:too-quickly  rcpt@yahoo.com    450 User is receiving mail too quickly
ms:5.2.121        rcpt              554 5.2.122 The recipient has exceeded their limit for the hour
4.2.1             rcpt              450 4.2.1 <a@b.test> mailbox is disabled
4.3.1             dot               452 4.3.1 Insufficient system storage
4.3.x             mail              451 4.3.0 Mail server temporarily rejected message.
4.3.x             dot               451 4.4.2 Timeout - closing connection
4.3.x             rcpt              421 4.4.1 connection to backend refused
421               rcpt              421 b.test Service not available, closing transmission channel
451               rcpt              451 Temporary local problem - please try later
unreachable       connect           0 [Errno 111] Connection refused
unreachable       ehlo              0 Connection unexpectedly closed
4.7.x             auth              454 4.7.0 Temporary authentication failure
4.7.x             tls               454 4.7.0 TLS not available due to local problem
== size
x.2.3             dot@gmail.com     552 5.2.3 Your message exceeded Google's message size limits.
x.2.3             dot               552 5.3.4 Message size exceeds fixed limit
text:size         dot               552 Message too big
text:size         dot               554 message size exceeds maximum size
== content
x.6.x             dot               554 5.6.0 Message contains invalid header
x.6.x             address           0 5.6.7 the server lacks SMTPUTF8
text:content      dot               550 Message is not RFC compliant
554:dot           dot               554 Transaction failed
554:dot           dot               554 5.0.0 Message refused
== blocked
ms:5.7.606-649    rcpt@live.com     550 5.7.606 Access denied, banned sending IP [192.0.2.1]
ms:5.7.606-649    rcpt              550 5.7.649 Access denied, banned sending IP
ms:blocked        mail@outlook.com  550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (S3140).
ms:blocked        rcpt@hotmail.com  550 SC-001 (COL004-MC1F1) Unfortunately, messages weren't sent.
yahoo:deferred-for-good mail@aol.com 421 4.7.1 [TS03] All messages from 192.0.2.1 permanently deferred
yahoo:deferred-for-good rcpt@aol.com 553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred
yahoo:blocked     connect@yahoo.com 553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1
yahoo:blocked     dot@yahoo.com     554 Message not allowed - [PH01] Email not accepted for policy reasons.
apple:blocked     dot@icloud.com    550 5.7.1 [CS01] Message rejected due to local policy.
apple:blocked     dot@me.com        554 5.7.1 [HM08] Message rejected due to local policy.
google:whitelist  rcpt@gmail.com    421 4.7.0 IP not in whitelist for RCPT domain, closing connection.
text:blocked      dot@gmail.com     550 5.7.1 suspicious due to the very low reputation of the sending domain
text:blocked      rcpt              550 5.1.1 rejected because 192.0.2.1 is in a blocklist
text:blocked      rcpt              550 User unknown or blocked by anti-spam
text:blocked      rcpt              451 4.7.1 Client host blocked using zen.spamhaus.org
5.7.x             rcpt              550 5.7.1 <a@b.test>: Client host rejected: Access denied
5.7.x             rcpt              550 5.7.0 no
== auth
x.7.20-32         dot@gmail.com     550 5.7.26 This mail has been blocked because the sender is unauthenticated.
x.7.20-32         dot@gmail.com     421 4.7.27 rate limited because SPF authentication didn't pass
x.7.20-32         mail@gmail.com    450 4.7.25 The sending IP address doesn't have a PTR record
x.7.20-32         dot@gmail.com     550 5.7.29 blocked: it was not sent over a TLS connection
x.7.20-32         dot@gmail.com     421 4.7.32 From: header isn't aligned
google:tls        rcpt@gmail.com    421 4.7.0 TLS required for RCPT domain, closing connection.
ms:5.7.515        dot@outlook.com   550 5.7.515 Access denied, sending domain does not meet the required level
ms:5.7.515        dot@firm.test     550 5.7.509 Access denied, sending domain does not pass DMARC verification
yahoo:5.7.9       dot@yahoo.com     554 5.7.9 Message not accepted for policy reasons.
apple:auth        dot@icloud.com    554 5.7.1 [HME1] This message was blocked for failing both SPF and DKIM
text:auth         dot@icloud.com    554 5.7.1 Your message was rejected due to example.jp's DMARC policy.
text:auth         rcpt              554 5.7.1 Client host rejected: cannot find your reverse hostname
== rate
x.7.28            dot@gmail.com     421 4.7.28 unusual rate of unsolicited mail originating from your IP address
x.7.28            dot@gmail.com     550 5.7.28 unusual rate of unsolicited mail; it has been blocked
google:rate       rcpt@gmail.com    421 4.7.0 mail sent from your IP address has been temporarily rate limited
google:rate       ehlo@gmail.com    421 4.7.0 Try again later, closing connection.
google:limit      dot@gmail.com     550 5.4.5 Daily user sending limit exceeded.
ms:4.7.500-899    mail@outlook.com  451 4.7.650 The mail server has been temporarily rate limited due to IP reputation
ms:4.7.500-899    rcpt@firm.test    451 4.7.500 Server busy. Please try again later
ms:rate           rcpt@hotmail.com  421 RP-001 (BAY0) Unfortunately, some messages weren't sent.
yahoo:volume      mail@yahoo.com    421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred
yahoo:volume      mail@yahoo.com    421 4.7.0 [TS01] Messages temporarily deferred due to user complaints
apple:volume      rcpt@icloud.com   421 4.7.1 Messages to a@icloud.com deferred due to excessive volume.
ses:throttling    dot               454 Throttling failure: Maximum sending rate exceeded.
ses:throttling    dot               454 Throttling failure: Daily message quota exceeded.
sendgrid:credits  auth              451 Authentication failed: Maximum credits exceeded
text:rate         rcpt              452 Too many recipients received this hour
text:rate         rcpt              450 slow down
text:rate         rcpt              550 Too many invalid recipients
text:rate         rcpt              550 5.1.1 Too many unknown recipients
text:rate         mail              450 HTTP 429 Too Many Requests:
text:connections  connect           421 4.7.0 Error: too many connections from 192.0.2.1
5.5.3             rcpt@docomo.ne.jp 552 5.5.3 no more recipients
== connection_cap
4.5.3             rcpt@gmail.com    452 4.5.3 Your message has too many recipients.
text:connection-cap mail@yahoo.com  421 Max message per connection reached, closing transmission channel
text:connection-cap mail            421 4.7.0 Too many messages in this connection
== sender_refused
sender:5xx        connect           554 No SMTP service here
sender:5xx        ehlo              501 5.5.4 HELO/EHLO argument is invalid
sender:5xx        mail              550 5.7.1 you may not send here
sender:5xx        mail              553 5.1.8 Domain of sender address does not exist
text:relay        rcpt              554 5.7.1 <a@b.test>: Relay access denied
text:relay        rcpt              550 5.1.1 relaying denied for <a@b.test>
text:relay        rcpt              550 You are not permitted to relay through this server
text:relay        rcpt              551 we do not relay
text:sender       rcpt              553 5.7.1 <b@us.test>: Sender address rejected: not owned by user news
text:sender       rcpt              550 5.1.1 Sender verify failed: user unknown
text:sender       rcpt              550 5.1.2 Sender domain does not exist
text:sender       rcpt              550 sender mailbox not found
text:sender       dot               550 5.1.3 Invalid From header address
text:sender       dot               550 5.7.60 SMTP; Client does not have permissions to send as this sender
5.1.7             rcpt              550 5.1.7 bad envelope
ses:sender        dot               554 Message rejected: Email address is not verified.
sendgrid:sender   dot               550 The from address does not match a verified Sender Identity.
== credentials
530               mail              530 5.7.0 Authentication required
530               rcpt              530 Authentication required
530               mail              530 5.7.57 SMTP; Client was not authenticated to send anonymous mail
auth:5xx          auth              535 5.7.8 Username and Password not accepted.
auth:5xx          auth              534 5.7.9 Application-specific password required.
no-login          auth              0 SMTP AUTH extension not supported by server.
no-starttls       tls               0 STARTTLS extension not supported by server.
tls:5xx           tls               502 5.5.1 STARTTLS not implemented
certificate       tls               0 [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed
certificate       connect           0 [SSL: CERTIFICATE_VERIFY_FAILED] Hostname mismatch
sendgrid:login    mail              550 Unauthenticated senders not allowed
== protocol
5.5.1             rcpt              503 5.5.1 MAIL first
5.5.1             data              554 5.5.1 Error: no valid recipients
5.5.1             rcpt              555 5.5.4 Unsupported option: NOTIFY
500-504           rcpt              501 Syntax error in parameters or arguments
500-504           dot@docomo.ne.jp  500 Line Too Long
== other
ms:5.4.1          rcpt@firm.test    550 5.4.1 Recipient address rejected: Access denied. [AM1.protection.outlook.com]
ms:members-only   dot@firm.test     550 5.7.1 RESOLVER.RST.AuthRequired; authentication required
ms:5.7.133        dot@firm.test     550 5.7.133 sender not authenticated for group
apple:inactive    rcpt@icloud.com   550 5.1.1 <a@icloud.com>: inactive email address
docomo:refused    dot@docomo.ne.jp  550 Unknown user a@docomo.ne.jp
docomo:refused    -@docomo.ne.jp    550 Unknown user a@docomo.ne.jp
au:refused        dot@ezweb.ne.jp   550 <a@ezweb.ne.jp>: User unknown
au:refused        rcpt@ezweb.ne.jp  550 : User unknown
address           address           0 5.1.3 not a usable address
text:doubtful     rcpt              550 5.1.1 Recipient address rejected: Access denied
text:doubtful     rcpt              550 5.1.1 mailbox is temporarily unavailable
text:doubtful     rcpt              550 5.1.1 backend LDAP lookup failure, user unknown
text:doubtful     rcpt              550 5.1.1 Your IP is not allowed to send to this user
postmark:inactive dot               554 HTTP 406: marked as inactive after a spam complaint
text:doubtful     rcpt              550 unknown user, please try again later
other:5xx         rcpt@gmx.test     550 5.5.0 Requested action not taken: mailbox unavailable
other:5xx         rcpt              550 Requested action not taken: mailbox unavailable
other:5xx         rcpt              550 Unrouteable address
other:5xx         rcpt              550 5.1.0 Address rejected.
other:5xx         rcpt              550 5.1.2 Bad destination system address
other:5xx         rcpt@aol.com      521 5.2.1 : AOL will not accept delivery of this message.
other:5xx         rcpt@softbank.jp  553 us.test does not exist
other:5xx         dot               550 User unknown
other:5xx         -                 0 5.4.4 host not found
other:4xx         rcpt              450 5.1.1 User unknown in local recipient table
other:4xx         rcpt              450 4.1.1 unverified address
other:4xx         rcpt              450 no such user
other:4xx         rcpt              150 what?
"""  # noqa: E501  # replies are one line, as on the wire


def rows() -> list[tuple[str, str, str, str]]:
    """Class, rule, place and reply of each sample."""
    found, cls = [], ""
    for line in SAMPLES.strip().splitlines():
        if line.startswith("== "):
            cls = line[3:]
        else:
            rule, place, reply = line.split(maxsplit=2)
            found.append((cls, rule, place, reply))
    return found


def result(place: str, reply: str) -> tuple[Result, str]:
    """What our SMTP session makes of the reply, and the recipient's domain."""
    stage, _, domain = place.removeprefix("-").partition("@")
    code, _, text = reply.partition(" ")
    first = text.partition(" ")[0]
    enhanced = first if re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", first) else ""
    kind = Kind.REFUSED if code[0] == "5" else Kind.DEFERRED
    return Result(kind, stage, int(code), enhanced, text), domain
