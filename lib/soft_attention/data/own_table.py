"""A person's labels.csv as it stands: what it says is understood, or refused by the name of its line or column."""

import csv
import re
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pandas as pd

from soft_attention.errors import StudyError

NEEDED = ("image_id", "label")
SIDES = ("subset", "split", "partition")  # three names for the side that somebody else put an image on
KNOWN = (*NEEDED, "lesion_id", "image_path", "mask_path", *SIDES)
TAKEN = ("window",)  # a column that the study itself adds, and reads
SEPARATORS = ",;\t|"
NEARLY = 0.8  # likeness of two names from which one is taken for a misspelt other
_OTHER_WORDS = {"lesion_id": "lesion(identifier|uu?id|key)?"}  # what else it may be called
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def read_own_table(file: Path) -> pd.DataFrame:
    """The rows of a labels.csv, each under the number of its line in the file.

    Separators are commas, semicolons, tabs or bars, as the header has them or a first line `sep=;` says; blank lines,
    and lines above the header that begin with #, are passed over. The columns of `KNOWN` are found however their names
    are written (`Lesion ID`, `lesion-id`, `LESION_ID`) and hold text, without spaces around and in Unicode's form NFC;
    empty fields are None. Of other columns those that hold numbers become numbers.

    Raises:
        StudyError: it is no text in UTF-8, or in UTF-16 with a byte order mark; a column is missing, twice there,
            nearly named as a known one, or named as one that the study adds; a line has too many fields, quotes that
            do not close, no image_id or label, or an invisible character in a known column.
    """
    lines = _text(file).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    said = re.fullmatch(r'"?sep=(.)"?\W*', lines[0], re.IGNORECASE)
    start = next((n for n, line in enumerate(lines) if n >= bool(said) and _says_something(line)), len(lines))
    separator = said[1] if said else max(SEPARATORS, key=lambda mark: _columns_found(lines[start:], mark))
    records = _records(file, lines, start, separator)
    _, header = next(records, (0, []))
    names = _columns(file, header)
    rows = {line: fields for line, fields in records if any(fields)}
    table = _rectangle(file, header, rows)[list(names)].rename(columns=names)
    _check_known(file, table)
    return table.assign(**{name: _numbers(table[name]) for name in table.columns.difference(KNOWN)})


def squeezed(name: str) -> str:
    """A name without case, spaces, hyphens and underscores: what almost equal names have in common."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}") from error
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{file} is not in UTF-8 (line {line}): save it as 'CSV UTF-8'") from error
    if "\0" in text:
        raise StudyError(f"{file} is no text, or one in UTF-16 that does not say so: save it as 'CSV UTF-8'")
    return text


def _says_something(line: str) -> bool:
    return bool(line.strip(f'{SEPARATORS}" ')) and not line.startswith("#")


def _columns_found(lines: list[str], separator: str) -> tuple[int, int]:
    """How many needed columns, and how many at all, a header has if this is its separator."""
    names = next(csv.reader(lines, delimiter=separator), [])
    return len({squeezed(name) for name in NEEDED} & {squeezed(name) for name in names}), len(names)


def _records(file: Path, lines: list[str], start: int, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record from the line `start` on, with the number of its first line, counted from 1."""
    reader = csv.reader(
        (f"{line}\n" for line in lines[start:]), delimiter=separator, skipinitialspace=True, strict=True
    )
    while True:
        line = start + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise StudyError(f"{file}: line {line} cannot be read ({error}): see to its quotes") from error
        yield line, [unicodedata.normalize("NFC", field).strip() for field in fields]


def _columns(file: Path, header: list[str]) -> dict[int, str]:
    """The name of each column that has one, a known column's as in `KNOWN`."""
    names = {column: _known_name(name) for column, name in enumerate(header) if name}
    for name in NEEDED:
        if name not in names.values():
            has = ", ".join(header) or "none"
            raise StudyError(f"{file} has no column '{name}': it needs {', '.join(NEEDED)} and has {has}")
    for name in names.values():
        if len(written := [repr(header[column]) for column in names if names[column] == name]) > 1:
            raise StudyError(f"{file} has {name} in {len(written)} columns ({', '.join(written)}); keep one")
        if name in TAKEN:
            raise StudyError(f"{file}: the column {name!r} is one that the study adds itself; call it otherwise")
    _refuse_nearly_named(file, list(names.values()))
    return names


def _known_name(name: str) -> str:
    return {squeezed(known): known for known in KNOWN}.get(squeezed(name), name)


def _refuse_nearly_named(file: Path, names: list[str]) -> None:
    """StudyError for a column that is probably a known one which is not there: a typing error hides no lesion."""
    absent = [name for name in KNOWN if name not in names and not (name in SIDES and set(SIDES) & set(names))]
    for name in (name for name in names if name not in KNOWN):
        for known in absent:
            alike = SequenceMatcher(None, squeezed(name), squeezed(known)).ratio()
            words = _OTHER_WORDS.get(known, known.split("_")[0])
            if alike >= NEARLY or re.fullmatch(words, squeezed(name)):
                raise StudyError(
                    f"{file}: is the column {name!r} meant to be {known!r}? Call it so, or otherwise if it is not"
                )


def _rectangle(file: Path, header: list[str], rows: dict[int, list[str]]) -> pd.DataFrame:
    """The rows as columns with numbers for names; what a line lacks at its end is empty."""
    width = len(header)
    if long := [line for line, fields in rows.items() if any(fields[width:])]:
        raise StudyError(
            f"{file} has rows with more fields than its header ({_lines(long)}): quote texts that hold a comma"
        )
    filled = [[field or None for field in (fields + [""] * width)[:width]] for fields in rows.values()]
    table = pd.DataFrame(filled, index=list(rows), columns=range(width), dtype="str")
    for column in (column for column, name in enumerate(header) if not name):
        values = list(table[column].dropna())
        if values and values != [str(number) for number in range(len(table))]:  # what pandas writes there, if asked to
            raise StudyError(f"{file}: column {column + 1} has no name in the header; name it, or delete it")
    return table


def _check_known(file: Path, table: pd.DataFrame) -> None:
    for column in table.columns.intersection(KNOWN):
        for line, text in table[column].dropna().items():
            if any(unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in text):
                raise StudyError(
                    f"{file}: {column} {text!r} in line {line} holds a line break or an invisible character"
                )
    for column in NEEDED:
        if empty := list(table.index[table[column].isna()]):
            raise StudyError(f"{file}: no {column} in {_lines(empty)}; fill it in, or delete the line and its image")


def _numbers(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column


def _lines(numbers: list[int]) -> str:
    return f"line {', '.join(map(str, numbers[:5]))}{', ...' * (len(numbers) > 5)}"
