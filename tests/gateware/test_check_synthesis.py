"""What Yosys finds is counted as the device counts it, and no figures are never taken for good ones."""

import sys
from pathlib import Path

import pytest

from corelog_gateware.check import synthesis
from corelog_gateware.check.clocks import CheckError
from corelog_gateware.check.report import Outcome, sizes

COUNTER = """
module top (input clk, output [15:0] q);
  reg [15:0] count = 0;
  wire ticking = {clock};
  always @(posedge ticking) count <= count + 16'd3 ^ {{count[7:0], count[15:8]}};
  assign q = count;
endmodule
"""


def test_cells_are_counted_in_units_of_the_device() -> None:
    cells = {"LUT2": 3, "LUT6": 10, "INV": 1, "RAM32M": 2, "FDRE": 5, "FDPE": 1, "RAMB18E1": 3, "RAMB36E1": 2,
             "GTPE2_CHANNEL": 1, "MMCME2_ADV": 1, "$scopeinfo": 9, "OBUF": 4}
    assert dict(synthesis.count(cells)) == {"LUT": 22, "FF": 6, "BRAM": 3.5, "GT": 1, "MMCM": 1}


def test_more_than_four_fifths_of_a_device_is_a_fault_and_so_is_a_transceiver_too_many() -> None:
    assert synthesis.Usage("xc7a100t", {"LUT": 50_720, "BRAM": 108, "GT": 4, "MMCM": 6}).faults() == []
    assert synthesis.Usage("xc7a100t", {"LUT": 50_721, "BRAM": 109}).faults() == [
        "50721 LUT of 63400, more than 80%: make the design smaller",
        "109 BRAM of 135, more than 80%: make the design smaller",
    ]
    assert synthesis.Usage("xc7a100t", {"GT": 5}).faults() == ["5 GT, there are 4: make the design smaller"]
    assert synthesis.Usage("xc7k325t", {"LUT": 50_721, "BRAM": 109, "GT": 5}).faults() == []


def test_a_yosys_that_ends_well_without_figures_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "yosys", lambda: [sys.executable, "-c", ""])
    with pytest.raises(CheckError, match=r"Yosys failed: exit code 0, no figures: see .*yosys\.log"):
        synthesis.synthesise(tmp_path, "top", "xc7a100t")


def test_a_yosys_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis, "yosys", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(CheckError, match=r"took longer than 0\.2 s"):
        synthesis.synthesise(tmp_path, "top", "xc7a100t", timeout=0.2)


def test_a_memory_too_large_for_any_device_is_cut_down() -> None:
    verilog = "reg [31:0] main_ram[0:8388607];\nreg [31:0] other[0:8388607];\n"
    assert synthesis.with_less_memory(verilog, "main_ram", 16) == verilog.replace("8388607", "15", 1)
    with pytest.raises(CheckError, match="0 memories named gone, not one"):
        synthesis.with_less_memory(verilog, "gone", 16)


def test_the_table_says_which_figures_are_of_an_earlier_run() -> None:
    outcomes = [Outcome("one", usage=synthesis.Usage("xc7a100t", {"LUT": 6340}, 61.7)),
                Outcome("other", usage=synthesis.Usage("xc7a100t", {"LUT": 634}, 61.7, "2026-11-20 15:41"))]
    rows = sizes(outcomes).splitlines()[2:]
    assert [row.split("|")[-2].strip() for row in rows] == ["62", "unchanged since 2026-11-20 15:41"]
    assert "6340 (10%)" in rows[0] and "634 (1%)" in rows[1]


def test_an_error_that_yosys_only_logs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "open('yosys.log', 'w').write('all is well\\ntop.v:7: ERROR: no such cell\\n'); exit(1)"
    monkeypatch.setattr(synthesis, "yosys", lambda: [sys.executable, "-c", program])
    with pytest.raises(CheckError, match=r"Yosys failed: top\.v:7: ERROR: no such cell: see .*yosys\.log"):
        synthesis.synthesise(tmp_path, "top", "xc7a100t")


def test_only_what_yosys_reads_makes_a_design_another_one(tmp_path: Path) -> None:
    def key(comment: str, code: str, memory: str = "1f") -> str:
        (tmp_path / "top.v").write_text(f"// of {comment}\n/*\n{comment}\n*/\n{code}\n// {comment}\n{code}\n")
        (tmp_path / "top_mem.init").write_text(memory)
        return synthesis.design_key(tmp_path, ["yosys", "-p", "stat"])

    known = key("monday", "wire a;")
    assert key("tuesday", "wire a;") == known
    assert len({known, key("monday", "wire b;"), key("monday", "wire a;", "2f")}) == 3
    assert synthesis.design_key(tmp_path, ["yosys", "-p", "check"]) != synthesis.design_key(tmp_path, ["yosys"])


def test_yosys_itself_counts_a_design_and_refuses_one_without_a_clock(tmp_path: Path) -> None:
    try:
        synthesis.yosys()
    except CheckError:
        pytest.skip("Yosys comes with make gateware-check")
    source = tmp_path / "top.v"
    source.write_text(COUNTER.format(clock="clk"))
    usage = synthesis.synthesise(tmp_path, "top", "xc7a100t", least=10)
    assert usage.used["FF"] == 16 and usage.used["BUFG"] == 1
    source.write_text("// another day\n" + source.read_text())
    again = synthesis.synthesise(tmp_path, "top", "xc7a100t", least=10)
    assert again == usage and again.since and not usage.since
    source.write_text(COUNTER.format(clock="1'b0"))
    with pytest.raises(CheckError, match="LUTs are left of the design: is a clock or reset not connected"):
        synthesis.synthesise(tmp_path, "top", "xc7a100t", least=10)
    source.write_text(COUNTER.format(clock="clk +"))
    with pytest.raises(CheckError, match=r"Yosys failed: .*syntax error"):
        synthesis.synthesise(tmp_path, "top", "xc7a100t", least=10)
