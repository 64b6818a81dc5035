"""Wrong values of the environment stop the start with a sentence that names the variable."""

import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from iria_news import environment
from iria_news.environment import Misconfigured, SubmissionServer

RUN = Path("/run/iria")


def email_url(value: str) -> SubmissionServer:
    return environment.submission_server(value, RUN)


def embed_origins(value: str) -> list[str]:
    return environment.origins("EMBED_ORIGINS", value.split(","))


def redis_url(value: str) -> tuple[str, str]:
    return environment.redis_urls(value, RUN)


@pytest.mark.parametrize(
    ("read", "value", "sentence"),
    [
        (environment.port, "", "PORT is '', but it takes a number from 1 to 65535."),
        (environment.port, "http", "PORT is 'http', but it takes"),
        (environment.port, "0", "PORT is '0', but it takes"),
        (environment.port, "65536", "PORT is '65536', but it takes"),
        (environment.port, "-1", "PORT is '-1', but it takes"),
        (environment.port, "٨٠٠٠", "PORT is '٨٠٠٠', but it takes"),
        (environment.site_url, "news.ir-ia.com", "SITE_URL starts with nothing://"),
        (environment.site_url, "ftp://ir-ia.com", "SITE_URL starts with ftp://"),
        (environment.site_url, "https://", "SITE_URL is 'https://', but it takes scheme and host"),
        (environment.site_url, "https://ir-ia.com/news", "but it takes scheme and host only"),
        (environment.site_url, "https://ir-ia.com?x=1", "but it takes scheme and host only"),
        (environment.site_url, "https://ir-ia.com:web", "SITE_URL cannot be read."),
        (environment.site_url, "https://[::1", "SITE_URL cannot be read."),
        (environment.check_database_url, "mysql://h/iria", "DATABASE_URL starts with mysql://"),
        (environment.check_database_url, "iria.sqlite3", "DATABASE_URL starts with nothing://"),
        (environment.check_database_url, "postgres://h", "DATABASE_URL names no database."),
        (environment.check_database_url, "postgres://u:p@h:x/iria", "DATABASE_URL cannot be read."),
        (
            embed_origins,
            "https://a.example.org/news",
            "EMBED_ORIGINS holds 'https://a.example.org/",
        ),
        (embed_origins, "*", "EMBED_ORIGINS holds '*', but it takes sites such as"),
        (embed_origins, "'self'", "EMBED_ORIGINS holds"),
        (embed_origins, "http://a.example.org", "EMBED_ORIGINS holds"),
        (embed_origins, "https://a.example.org; script-src *", "EMBED_ORIGINS holds"),
        (embed_origins, "https://*", "EMBED_ORIGINS holds"),
        (redis_url, "127.0.0.1:6379", "REDIS_URL starts with"),
        (redis_url, "http://127.0.0.1", "REDIS_URL starts with http://"),
        (redis_url, "redis://", "REDIS_URL names no host."),
        (email_url, "mail.ir-ia.com", "EMAIL_URL starts with nothing://"),
        (email_url, "smtp://", "EMAIL_URL names no host."),
        (email_url, "smtp://mail.ir-ia.com:99999", "EMAIL_URL cannot be read."),
        (email_url, "smtp://u:p@mail.ir-ia.com", "EMAIL_URL would send its password over"),
    ],
)
def test_a_wrong_value_is_a_sentence(read: Callable[[str], object], value: str, sentence: str):
    with pytest.raises(Misconfigured, match=re.escape(sentence)) as caught:
        read(value)

    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (email_url, "smtps://iria:s3cret@mail.ir-ia.com:smtp"),
        (email_url, "smtp://iria:s3cret@mail.ir-ia.com"),
        (email_url, "imap://iria:s3cret@mail.ir-ia.com"),
        (environment.check_database_url, "postgres://iria:s3cret/1@h/iria"),
        (environment.check_database_url, "postgres://iria:s3cret@h"),
        (redis_url, "redis://:s3cret#1@h"),
        (redis_url, "redis://:s3cret/1@h"),
    ],
)
def test_no_sentence_shows_a_password(read: Callable[[str], object], value: str):
    with pytest.raises(Misconfigured) as caught:
        read(value)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "server"),
    [
        ("", SubmissionServer("localhost", 0, unix_socket="/run/iria/catcher.sock")),
        ("smtp+unix:///run/lmtp.sock", SubmissionServer("localhost", 0, "/run/lmtp.sock")),
        ("smtp://mail.ir-ia.com", SubmissionServer("mail.ir-ia.com", 25)),
        (
            "smtp+tls://news%40ir-ia.com:a%2Fb@mail.ir-ia.com",
            SubmissionServer("mail.ir-ia.com", 587, "", "news@ir-ia.com", "a/b", "starttls"),
        ),
        (
            "smtps://u:p@mail.ir-ia.com:4465",
            SubmissionServer("mail.ir-ia.com", 4465, "", "u", "p", "tls"),
        ),
        ("smtp://u:p@127.0.0.1:1025", SubmissionServer("127.0.0.1", 1025, "", "u", "p")),
    ],
)
def test_email_url_names_a_submission_server(value: str, server: SubmissionServer):
    assert email_url(value) == server


def test_a_submission_server_does_not_print_its_password():
    assert "s3cret" not in repr(email_url("smtps://iria:s3cret@mail.ir-ia.com"))


@pytest.mark.parametrize(
    ("value", "for_redis", "for_celery"),
    [
        ("", "unix:///run/iria/valkey.sock", "redis+socket:///run/iria/valkey.sock"),
        ("redis://h:6379/0", "redis://h:6379/0", "redis://h:6379/0"),
        ("rediss://h/0", "rediss://h/0", "rediss://h/0"),
        ("unix:///run/r.sock", "unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0"),
    ],
)
def test_redis_url_is_spelled_for_both_its_readers(value, for_redis, for_celery):
    assert redis_url(value) == (for_redis, for_celery)


def test_sites_with_frames_are_read_in_small_letters_and_without_blanks():
    value = "https://WWW.example.org, https://*.example.net:8443,,http://localhost:8080"

    assert embed_origins(value) == [
        "https://www.example.org",
        "https://*.example.net:8443",
        "http://localhost:8080",
    ]


def test_a_last_slash_of_site_url_is_dropped():
    assert environment.site_url("https://news.ir-ia.com/") == "https://news.ir-ia.com"


def test_sockets_move_to_a_short_path_when_the_data_folder_has_a_long_one(tmp_path):
    long = tmp_path / ("x" * 100)

    assert environment.run_folder(Path("/srv/iria")) == Path("/srv/iria/run")
    assert len(str(environment.run_folder(long))) < 100
    assert environment.run_folder(long) == environment.run_folder(long)
    assert environment.run_folder(long) != environment.run_folder(long / "y")


def test_a_secret_is_made_once_and_kept_for_its_owner_only(tmp_path):
    first = environment.kept_secret(tmp_path / "new", "secret-key")

    assert environment.kept_secret(tmp_path / "new", "secret-key") == first
    assert environment.kept_secret(tmp_path / "new", "message-key-secret") != first
    assert stat.S_IMODE((tmp_path / "new" / "secret-key").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "message-key-secret",
        "secret-key",
    ]


def test_a_damaged_secret_is_not_replaced_in_silence(tmp_path):
    (tmp_path / "secret-key").write_text("short")

    with pytest.raises(Misconfigured, match="holds less than 32 characters"):
        environment.kept_secret(tmp_path, "secret-key")


def test_a_data_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match=r"DATA_DIR .* cannot be written"):
        environment.kept_secret(tmp_path / "file" / "data", "secret-key")
