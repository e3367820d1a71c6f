// Plays a script (standard input) on an RTIO core with TTL PHYs and pads, mu by mu; ttl_bench.py describes both.
#include <array>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "Vdut.h"
#include "verilated.h"

namespace {

constexpr int kPads = 32;
constexpr int kCoarse = 8;
constexpr int64_t kStuck = 1'000'000;  // mus after which a wait is given up

struct Change {
    int pad, value;  // value: 0, 1, or 2 for nobody outside driving
};

struct Bench {
    VerilatedContext context;
    Vdut dut{&context};
    int64_t now = 0, base = 0, cycles = 0;
    std::multimap<int64_t, Change> changes;
    std::array<int, kPads> wired_to{};
    uint32_t shown_p = 0, shown_n = 0;

    Bench() {
        wired_to.fill(-1);
        dut.sys_rst = 1;
        for (int i = 0; i < 4; i++) cycle();
        dut.sys_rst = 0;
        cycle();
    }

    void set(int pad, int value) {
        const uint32_t bit = 1u << pad;
        dut.drive = value == 2 ? dut.drive & ~bit : dut.drive | bit;
        dut.value = value == 1 ? dut.value | bit : dut.value & ~bit;
    }

    // A cycle of sys: clock edges of every mu first, then what changes outside in that mu, then the pads are shown.
    void cycle() {
        for (int phase = 0; phase < kCoarse; phase++) {
            dut.sys_clk = phase < kCoarse / 2;
            dut.sys4x_clk = phase % 2 == 0;
            dut.eval();
            now = static_cast<int64_t>(dut.cri_counter) + phase;
            for (; !changes.empty() && changes.begin()->first <= now; changes.erase(changes.begin()))
                set(changes.begin()->second.pad, changes.begin()->second.value);
            for (int pad = 0; pad < kPads; pad++)
                if (wired_to[pad] >= 0) set(pad, (dut.level_p >> wired_to[pad]) & 1);
            dut.eval();
            show();
        }
        cycles++;
    }

    void show() {
        const uint32_t changed = (dut.level_p ^ shown_p) | (dut.level_n ^ shown_n);
        for (int pad = 0; pad < kPads; pad++)
            if ((changed >> pad) & 1)
                printf("p %d %" PRId64 " %d %d\n", pad, now - base, (dut.level_p >> pad) & 1, (dut.level_n >> pad) & 1);
        shown_p = dut.level_p;
        shown_n = dut.level_n;
    }

    template <typename Busy> void wait(Busy busy) {
        for (const int64_t start = cycles; busy(); cycle())
            if (cycles - start > kStuck / kCoarse) {
                fprintf(stderr, "stuck at %" PRId64 "\n", now - base);
                exit(2);
            }
    }

    void submit(uint32_t channel, int64_t time, uint32_t address, uint32_t data) {
        dut.cri_chan_sel = channel;
        dut.cri_o_timestamp = static_cast<uint64_t>(base + time);
        dut.cri_o_address = address;
        dut.cri_o_data = data;
        dut.cri_o_stb = 1;
        cycle();
        dut.cri_o_stb = 0;
        wait([&] { return dut.cri_o_status & 1; });
        if (dut.cri_o_status != 0) printf("s %u %" PRId64 " %d\n", channel, time, dut.cri_o_status);
    }

    void read(uint32_t channel, int64_t timeout) {
        dut.cri_chan_sel = channel;
        dut.cri_i_timeout = static_cast<uint64_t>(base + timeout);
        dut.cri_i_stb = 1;
        cycle();
        dut.cri_i_stb = 0;
        wait([&] { return dut.cri_i_status & 4; });
        const int64_t time = static_cast<int64_t>(dut.cri_i_timestamp) - base;
        printf("i %u %d %" PRId64 " %d\n", channel, dut.cri_i_status, time, dut.cri_i_data);
    }

    void play(char command, int64_t a, int64_t b, int64_t c, int64_t d) {
        switch (command) {
        case 'B': base = now - now % kCoarse + kCoarse * a; break;
        case 'S': submit(uint32_t(a), b, uint32_t(c), uint32_t(d)); break;
        case 'D': changes.emplace(base + b, Change{int(a), int(c)}); break;
        case 'J': wired_to[size_t(b)] = int(a); break;
        case 'W': wait([&] { return now < base + a; }); break;
        case 'Q': read(uint32_t(a), b); break;
        case 'R': dut.phy_reset = 1; cycle(); dut.phy_reset = 0; break;
        case 'T': printf("t\n"); break;
        default: fprintf(stderr, "unknown command %c\n", command); exit(2);
        }
    }
};

}  // namespace

int main() {
    Bench bench;
    char line[128], command;
    while (fgets(line, sizeof line, stdin)) {
        int64_t a = 0, b = 0, c = 0, d = 0;
        sscanf(line, "%c %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &command, &a, &b, &c, &d);
        bench.play(command, a, b, c, d);
    }
    return 0;
}
