"""What reaches Django of a request whose Content-Type is odd."""

from io import BytesIO
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from iria_news.wsgi import application

pytestmark = pytest.mark.django_db
CODECS = [
    "a/b; charset=base64",
    "a/b; CHARSET = rot13",
    'application/x-www-form-urlencoded; charset="hex"',
    "multipart/form-data; boundary=x; charset=base64",
    "a/b; charset*=utf-8''base64",
    "a/b; charset*0=ba; charset*1=se64",
    "a/b; charset=utf-16",
    "a/b; charset*=utf-8''x; charset*0=b",  # cannot be put together
    "a/b; x*=nothing''y",
    "a/b; charset*" + "9" * 5000 + "=x",
]


@pytest.fixture(autouse=True)
def _one_connection(db):
    """Requests come in through the WSGI door and would close the connection of the test."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def answer(path, content_type, *, query="", body=b""):
    """Status, header fields and body, as a web server gets them."""
    environ = {"PATH_INFO": path, "QUERY_STRING": query, "CONTENT_TYPE": content_type}
    if body:
        environ |= {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body))}
        environ["wsgi.input"] = BytesIO(body)
    setup_testing_defaults(environ)
    environ["HTTP_HOST"] = "localhost"
    begun = []
    answered = application(environ, lambda status, fields, *_: begun.append((status, dict(fields))))
    (status, fields) = begun[0]
    content = b"".join(answered)
    answered.close()
    return status, fields, content.decode()


@pytest.mark.parametrize("content_type", CODECS)
def test_a_page_answers_whatever_charset_is_named(content_type):
    status, fields, _ = answer("/subscribe/", content_type, query="x=1")

    assert status == "200 OK"
    assert "Content-Security-Policy" in fields


@pytest.mark.parametrize("content_type", CODECS)
def test_the_api_answers_in_its_own_words(content_type):
    status, fields, content = answer("/api/v1/subscribers", content_type, query="x=1", body=b"{}")

    assert status.startswith("4")
    assert fields["Content-Type"].startswith("application/problem+json"), content


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded; charset=base64", b"email=m%C3%BCller"),
        (
            "multipart/form-data; charset=rot13; boundary=\"a; charset='b'\"",
            (
                b"--a; charset='b'\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\n"
                b"m\xc3\xbcller\r\n--a; charset='b'--\r\n"
            ),
        ),
    ],
)
def test_a_form_is_read_as_utf_8(content_type, body):
    status, _, content = answer("/subscribe/", content_type, body=body)

    assert status.startswith(("200", "4"))
    assert "müller" in content
