import pytest

from picollm.core import files
from picollm.core.errors import DataError
from picollm.lab.drawing import read_table


def test_a_table_holds_its_numbers_as_floats_and_its_text_as_it_is(tmp_path):
    rows = [{"step": 1, "loss": 1 / 3, "name": "a,b"}, {"name": "2", "loss": 1e-9, "step": 20}]
    files.write_csv(tmp_path / "m.csv", ["step", "loss", "name"], rows)
    table = read_table(tmp_path / "m.csv", ("step", "loss"), ("name",))
    assert table.to_dict("list") == {"step": [1.0, 20.0], "loss": [1 / 3, 1e-9], "name": ["a,b", "2"]}


@pytest.mark.parametrize("cell", ["oops", "nan", "inf", ""])
def test_a_cell_that_is_no_finite_number_is_named_with_its_line(tmp_path, cell):
    (tmp_path / "m.csv").write_text(f"step,loss\n0,-9\n10,{cell}\n20,-7\n")
    with pytest.raises(DataError, match=rf"m.csv:3: loss is '{cell}', expected a finite number"):
        read_table(tmp_path / "m.csv", ("step", "loss"))


CONFLICT = "<<<<<<< HEAD\n10,3\n=======\n10,4\n>>>>>>> main\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "m.csv: not CSV: No columns to parse"),
        (b"step,loss\n\xff,1\n", "m.csv: not CSV: 'utf-8' codec can't decode byte 0xff"),
        (f"step,loss\n{CONFLICT}".encode(), "m.csv:2: step is '<<<<<<< HEAD', expected a finite number"),
        (f"{CONFLICT}step,loss\n".encode(), "m.csv: no column step; found <<<<<<< HEAD"),
        (b"step,loss\n", "m.csv: no rows; expected at least one"),
    ],
)
def test_a_file_that_is_no_table_of_numbers_is_an_error_that_names_it(tmp_path, content, reason):
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_table(tmp_path / "m.csv", ("step", "loss"))


def test_a_missing_table_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"absent.csv: No such file"):
        read_table(tmp_path / "absent.csv", ("step",))
