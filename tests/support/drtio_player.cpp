// Plays cycles into a Verilated module and returns what it shows: see drtio_player.py.
//
// Input: a number of cycles, a number of rows (not above it), then the rows of IN words, one for a cycle; the last one
// is held for the remaining cycles. Output: for each row one of OUT words, sampled before the clock's edge with the
// row's inputs. All are 32-bit words in this machine's byte order.
#include "Vdut.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <vector>

#define EACH(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15) \
    DO(16) DO(17) DO(18) DO(19) DO(20) DO(21) DO(22) DO(23) DO(24) DO(25) DO(26) DO(27) DO(28) DO(29) DO(30) DO(31)

static constexpr size_t IN = 32, OUT = 32;

static bool read_words(std::vector<uint32_t> &words) {
    return fread(words.data(), sizeof(uint32_t), words.size(), stdin) == words.size();
}

int main() {
    VerilatedContext context;
    auto dut = std::make_unique<Vdut>(&context);
    auto edge = [&] {
        dut->sys_clk = 1;
        dut->eval();
        dut->sys_clk = 0;
    };
    dut->sys_rst = 1;
    dut->sys_clk = 0;
    dut->eval();
    edge();
    dut->eval();
    dut->sys_rst = 0;

    std::vector<uint32_t> header(2);
    while (read_words(header)) {
        const uint32_t cycles = header[0], rows = header[1];
        std::vector<uint32_t> in(size_t(rows) * IN), out(size_t(rows) * OUT);
        if (!read_words(in)) return 1;
        for (uint32_t cycle = 0; cycle < cycles; ++cycle) {
            if (cycle < rows) {
                const uint32_t *given = &in[size_t(cycle) * IN];
#define SET(n) dut->in##n = given[n];
                EACH(SET)
            }
            dut->eval();
            if (cycle < rows) {
                uint32_t *shown = &out[size_t(cycle) * OUT];
#define GET(n) shown[n] = dut->out##n;
                EACH(GET)
            }
            edge();
        }
        fwrite(out.data(), sizeof(uint32_t), out.size(), stdout);
        fflush(stdout);
    }
    return 0;
}
