"""Many byte strings are found in files together, and none is missed wherever it lies."""

import json
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.adapters import residue


def needles(seed, count, shortest=8, longest=70):
    draw = random.Random(seed)
    return [draw.randbytes(draw.randint(shortest, longest)) for _ in range(count)]


def looked_for(path, wanted):
    """The same question both ways: together, and each alone."""
    assert len(wanted) > residue.FEW
    both = [residue.search(path, wanted, each) for each in (residue.Together(wanted), None)]
    assert both[0] == both[1]
    return set(both[0][1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(0, 40), st.sampled_from([7, 8, 14, 15, 16, 64]))
def test_a_string_is_found_at_every_offset_and_length(tmp_path_factory, seed, offset, length):
    wanted = [*needles(seed, 40), random.Random(seed + 1).randbytes(length)]
    path = tmp_path_factory.mktemp("held") / "file"
    path.write_bytes(bytes(offset) + wanted[-1] + bytes(seed % 9))
    assert looked_for(path, wanted) == {40}


@pytest.mark.parametrize("before", [0, 1, 7, 8, 30, 63])
def test_a_string_across_two_pieces_of_a_large_file_is_found(tmp_path, before):
    wanted = needles(1, 50, 64, 70)
    path = tmp_path / "file"
    path.write_bytes(bytes(residue.CHUNK - before) + wanted[7] + bytes(residue.CHUNK))
    assert looked_for(path, wanted) == {7}


def test_a_part_of_a_string_is_not_the_string_and_none_is_none(tmp_path):
    wanted = [*needles(2, 40), b"short", b"tiny12"]
    path = tmp_path / "file"
    path.write_bytes(b"".join(each[:-1] + b"\0" for each in wanted))
    assert looked_for(path, wanted) == set()
    path.write_bytes(b"..tiny12..")
    assert looked_for(path, wanted) == {41}
    path.write_bytes(b"")
    assert looked_for(path, wanted) == set()


def test_the_process_tells_files_and_numbers_and_nothing_it_searched_for(tmp_path):
    wanted = needles(3, 200)
    path, gone = tmp_path / "held", tmp_path / "gone"
    path.write_bytes(b"x" * 999 + wanted[150] + wanted[3])
    told = json.dumps({"files": [str(path), str(gone), str(tmp_path)], "needles": 200})
    asked = "\n".join([told, *(each.hex() for each in wanted)])
    done = subprocess.run(
        [sys.executable, "-I", residue.__file__], input=asked, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["found"] == {str(path): [3, 150]}
    assert answer["unread"] == [str(tmp_path)]
    assert not any(each.hex() in done.stdout for each in wanted)
