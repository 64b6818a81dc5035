"""What files of readers look like in the world, and what is no file of readers."""

import pytest

from subscribers.importing import columns, reading
from subscribers.importing.encodings import BadFile


@pytest.fixture
def sheet(tmp_path):
    def open_sheet(content: bytes | str) -> reading.Sheet:
        path = tmp_path / "readers.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return reading.open_sheet(path)

    return open_sheet


TEXT = "email,name\r\njuergen@example.org,Jürgen Groß\r\nzoe@example.org,Zoë O’Brien\r\n"
JAPANESE = "メールアドレス,名前\r\ntaro@example.org,山田太郎\r\nhana@example.org,佐藤花子\r\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8-sig"),
        (TEXT.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("utf-16-be"), "utf-16-be"),
        (TEXT.encode("cp1252"), "cp1252"),
        (TEXT.replace("’", "").encode("latin-1"), "cp1252"),  # a part of it
        (JAPANESE.encode("cp932"), "cp932"),
        (JAPANESE.encode(), "utf-8"),
        (JAPANESE.encode("utf-16"), "utf-16"),
        (b"email\na@example.org\n", "utf-8"),
    ],
)
def test_the_encoding_is_told_and_no_letter_lost(content, encoding, sheet):
    found = sheet(content)

    assert found.encoding == encoding
    _, *rows = [row for _, row in found.rows()]
    assert rows[0][-1] in {"Jürgen Groß", "山田太郎", "a@example.org"}
    assert all(len(row) == len(rows[0]) for row in rows)


def test_an_apostrophe_of_word_processors_is_no_japanese(sheet):
    found = sheet("email,name\nbob@example.org,O’Brien\n".encode("cp1252"))

    assert [row for _, row in found.rows()][1] == ["bob@example.org", "O’Brien"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_and_line_ends_are_told(separator, end, sheet):
    lines = ["email,name", 'a@example.org,"Doe, Jane; PhD"', "b@example.org,Bo"]
    text = end.join(lines).replace("email,", f"email{separator}").replace("org,", f"org{separator}")

    assert list(sheet(text).rows()) == [
        (1, ["email", "name"]),
        (2, ["a@example.org", "Doe, Jane; PhD"]),
        (3, ["b@example.org", "Bo"]),
    ]


def test_one_address_in_each_line_needs_no_separator(sheet):
    assert list(sheet("a@example.org\n\nb@example.org\n").rows()) == [
        (1, ["a@example.org"]),
        (3, ["b@example.org"]),
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "It is empty."),
        (b"\xef\xbb\xbf", "It is empty."),
        (b" \n\n", "It is empty."),
        (b"email\na@example.org\0\n", "NUL bytes"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(50), "NUL bytes"),
        (b"email,name\na@example.org,\xed\xa0\x80\n", "lone surrogates"),
        ("email,name\na@example.org,Zoë Müller".encode() + b"\xff\n", "bytes in it that are none"),
        ("email\na@example.org,\n".encode("utf-16") + b"\x00\xd8a\x00", "lone surrogates"),
        ("email\na@example.org\n".encode("utf-16")[:-1], "cut off"),
        ("email\n".encode("utf-32"), "UTF-32"),
        (b'email,name\na@example.org,"never closed\nb@example.org,Bo\n', "quotes of row 2"),
        (b'email,name\na@example.org,"closed" early\n', "quotes of row 2"),
        (b"email,name\na@example.org," + b"x" * 2_001, "Row 2 has a cell of more than"),
        (b"email" + b",x" * 100, "more than 100 columns"),
        (b"a" * 100_000, "longer than 20,000 characters"),
    ],
)
def test_what_is_no_such_file_gets_a_sentence(content, sentence, sheet):
    with pytest.raises(BadFile, match=sentence):
        list(sheet(content).rows())


def test_a_gigabyte_in_one_line_is_not_read(tmp_path):
    path = tmp_path / "long.csv"
    with path.open("wb") as file:
        file.truncate(2**30)  # takes no room on the disk

    with pytest.raises(BadFile, match="1073 MB"):
        reading.open_sheet(path)


def test_a_line_is_given_up_at_its_limit_and_not_at_its_end(tmp_path):
    path = tmp_path / "long.csv"
    path.write_bytes(b"a@example.org," * 3_000_000)
    sheet = reading.Sheet(path, "utf-8", ",")

    with pytest.raises(BadFile, match="longer than 20,000 characters"):
        next(sheet.rows())


def test_too_many_rows_end_the_reading(sheet, monkeypatch):
    monkeypatch.setattr(reading, "MOST_ROWS", 2)

    with pytest.raises(BadFile, match="more than 2 rows"):
        list(sheet("email\n" + "a@example.org\n" * 3).rows())


@pytest.mark.parametrize(
    "head", ["email", "E-Mail", "Email Address", " e_mail ", "address", "MAIL", "メールアドレス"]
)
def test_the_column_of_addresses_has_many_names(head):
    found = columns.of_head(["Full name", head, "Opt-in date", "List", "Time zone"])

    assert found == {"name": 0, "address": 1, "consented_at": 2, "newsletters": 3, "zone": 4}


def test_a_postal_address_is_not_taken_for_the_other():
    assert columns.of_head(["address", "email"]) == {"address": 1}


def test_without_a_head_the_cell_with_an_at_sign_is_the_address():
    assert columns.of_head(["Jane", "jane@example.org"]) is None
    assert columns.of_first_row(["Jane", "jane@example.org"]) == {"address": 1, "name": 0}
    with pytest.raises(BadFile, match="No column is called"):
        columns.of_first_row(["Jane", "Doe"])
