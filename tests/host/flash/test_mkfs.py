"""`corelog mkfs`: the configuration store as bytes, as the firmware and ARTIQ's tool have it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelog.flash.store import SIZE, StoreError, decode, encode
from corelog.frontend.mkfs import main

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "config.json").read_text())["stores"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_stores_are_read_as_the_firmware_reads_them(vector: dict) -> None:
    image = bytes.fromhex(vector["hex"])
    if vector["damage"] is None:
        assert decode(image) == {key: bytes.fromhex(value) for key, value in vector["live"].items()}
    else:
        with pytest.raises(StoreError, match=f"at byte {vector['damage']} is damaged"):
            decode(image)


def test_image_is_the_known_one_strings_first_then_files(tmp_path: Path) -> None:
    level = tmp_path / "level"
    level.write_bytes(b"DEBUG")
    output = tmp_path / "storage.img"
    assert main([str(output), "-f", "log_level", str(level), "-s", "ip", "1.2.3.4"]) == 0
    assert output.read_bytes().hex() == VECTORS[0]["hex"]
    assert main([str(output)]) == 0
    assert output.read_bytes() == b"\xff" * 4


def test_key_that_is_not_ascii_has_its_length_in_bytes() -> None:
    assert encode([("é", b"x")]) == b"\0\0\0\x08\xc3\xa9\0x\xff\xff\xff\xff"


def test_value_that_is_not_utf8_is_kept_byte_for_byte(tmp_path: Path) -> None:
    """As Python gives it to programs: surrogates for such bytes."""
    assert main([str(tmp_path / "out"), "-s", "k", "\udcff"]) == 0
    assert decode((tmp_path / "out").read_bytes()) == {"k": b"\xff"}


keys = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.dictionaries(keys, st.binary(min_size=1, max_size=200), max_size=20))
def test_what_is_written_is_read_again(records: dict[str, bytes]) -> None:
    assert decode(encode(records.items())) == records


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except StoreError as exc:
        assert "\n" not in str(exc)


def test_store_is_filled_to_the_last_byte_and_not_beyond(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(encode([("key", bytes(SIZE - 4 - 8))])) == SIZE
    value, output = tmp_path / "value", tmp_path / "storage.img"
    value.write_bytes(bytes(SIZE - 4 - 7))
    assert main([str(output), "-f", "key", str(value)]) == 1
    assert capsys.readouterr().err == ("corelog mkfs: error: key takes 65533 bytes, but 65532 of the store's 65536 "
                                       "are left\n")
    assert not output.exists()


@pytest.mark.parametrize(("args", "text"), [
    (["-s", "", "x"], "'' is no key"), (["-s", "ip", "1.2.3.4", "-s", "ip", "1.2.3.5"], "the key ip is given twice"),
    (["-s", "\udcff", "x"], "is not UTF-8"),
    (["-f", "startup_kernel", "absent.elf"], "No such file or directory: absent.elf")])
def test_errors_are_one_line_and_nothing_is_written(tmp_path: Path, args: list[str], text: str,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "out"), *args]) == 1
    err = capsys.readouterr().err
    assert (err.count("\n"), text in err) == (1, True)
    assert not (tmp_path / "out").exists()
