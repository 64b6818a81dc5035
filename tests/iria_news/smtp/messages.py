"""A message as the sending loop joins it."""

from iria_news.mail import headers, parts

SENDER = "bounce+k@bounces.example.org"
RECIPIENT = "mara@example.org"
TEXT = "Guten Morgen, München.\n\nA line\n"
HTML = "<!DOCTYPE html><p>Guten Morgen, München.</p>\n"


def uri(length: int) -> str:
    start = "https://news.ir-ia.example/u/"
    return start + "t" * (length - len(start))


def newsletter_message(unsubscribe_url: str = "", recipient: str = RECIPIENT) -> bytes:
    text, html = parts.quoted_printable(TEXT), parts.quoted_printable(HTML)
    boundary = parts.boundary(text, html)
    head = [
        headers.mailbox("From", "IRIA News", "news@ir-ia.example"),
        headers.mailbox("To", "Mara Ünal, of the press", recipient),
        headers.unstructured("Subject", "Die Straße von Malakka: wer sie offen hält " * 2),
        headers.raw("Date", "Sun, 22 Nov 2026 07:00:00 +0000"),
        headers.raw("Message-ID", "<k@ir-ia.example>"),
        headers.raw("List-Unsubscribe", f"<{unsubscribe_url or uri(57)}>"),
        headers.raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        headers.list_id("List-Id", "IRIA Weekly für alle", "iria-weekly.ir-ia.example"),
        headers.raw("Feedback-ID", "iria-weekly:2026-11-22:digest:irianews"),
        headers.raw("MIME-Version", "1.0"),
        parts.content_type(boundary),
        "\r\n",
    ]
    return "".join(head).encode("ascii") + parts.alternative(text, html, boundary)
