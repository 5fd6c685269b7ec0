"""No case is forgotten: every one is named by a test."""

import re
from pathlib import Path

CASES = (
    "A03 A04 A07 A08 A09 A10 A12 A13 A14 A16 A18 A20 A22 A23 B01 B02 B04 B05 B06 B07 B08 B10 C03 C04 C05 C06 C07 "
    "C08 C09 C10 C11 C13 C14 C15 C16 C18 C19 C21 C24 C26 C27 C28 C29 C31 C33 C36 C37 C38 C39 C40 C41 C43 C44 C45 "
    "C46 C49 C50 C51 C52 D01 D03 D06 D07 D08 D10 D12 D14 D15 F01 F02 F03 F04 F05 F06 F07 F09 F11 F12 F16 F28 F29 "
    "F30 F31 F33 F36 G01 G02 G03 G05 G06 G08 G09 H01 H03 H04 H05 H06 H07 H08 H09 H12 H15 H16 H18 H20 H22 H23 H24 "
    "H27 H29 H31 H32 I01 I03 I04 I05 I06 I07 I09 J01 J02 J04 J09 J10 J13 J14 K03 K07 K09 K10 K11 K12 K14 K15"
)


def test_every_case_is_named_by_a_test() -> None:
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    named = set(re.findall(r"(?<![A-Z0-9])[A-K]\d\d(?!\d)", "".join(path.read_text() for path in files)))
    assert [case for case in CASES.split() if case not in named] == []
