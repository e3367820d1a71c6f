// Plays a script (standard input) on the RTIO core under test and prints what happens; rtio_bench.py describes both.
#include <array>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

#include "Vdut.h"
#include "verilated.h"

namespace {

constexpr int kChannels = 16;
constexpr uint64_t kStuck = 2'000'000;  // cycles after which a wait is given up

struct InputEvent {
    int64_t coarse;
    uint32_t word;
};

struct Bench {
    VerilatedContext context;
    Vdut dut{&context};
    uint64_t cycles = 0;
    int64_t base = 0;  // mu
    uint32_t lfsr = 1;
    unsigned pop_chance = 0;  // of 256
    std::array<uint32_t, kChannels> busy_after{}, busy_left{}, pattern{}, pattern_length{};
    std::array<std::deque<InputEvent>, kChannels> inputs;
    std::string out;

    void print(const char* format, ...) __attribute__((format(printf, 2, 3))) {
        char line[160];
        va_list arguments;
        va_start(arguments, format);
        const int length = vsnprintf(line, sizeof line, format, arguments);
        va_end(arguments);
        out.append(line, static_cast<size_t>(length));
        if (out.size() > (1u << 20)) flush();
    }

    void flush() {
        fwrite(out.data(), 1, out.size(), stdout);
        out.clear();
    }

    [[noreturn]] void fail(const char* why) {
        flush();
        fprintf(stderr, "%s in cycle %" PRIu64 "\n", why, cycles);
        exit(2);
    }

    int64_t coarse() const { return static_cast<int64_t>(dut.cri_counter >> 3); }

    uint32_t random() {
        lfsr ^= lfsr << 13;
        lfsr ^= lfsr >> 17;
        lfsr ^= lfsr << 5;
        return lfsr;
    }

    // One clock cycle: set the inputs that belong to this cycle, print what the core shows in it, then the clock edge.
    void tick() {
        const int64_t now = coarse();
        uint32_t busy = 0, strobes = 0;
        for (int n = 0; n < kChannels; n++) {
            if (busy_left[n] != 0) busy |= 1u << n;
            if (pattern_length[n] != 0) {
                const auto place = static_cast<uint64_t>(now - (base >> 3)) % pattern_length[n];
                if ((pattern[n] >> place) & 1) busy |= 1u << n;
            }
            if (!inputs[n].empty() && inputs[n].front().coarse == now) {
                strobes |= 1u << n;
                dut.in_events[n] = inputs[n].front().word;
                inputs[n].pop_front();
            }
        }
        dut.busy = busy;
        dut.in_stb = strobes;
        dut.pop = (random() & 0xff) < pop_chance;
        dut.eval();
        for (int n = 0; n < kChannels; n++) {
            if (busy_left[n] != 0) busy_left[n]--;
            if (((dut.out_stb >> n) & 1) == 0) continue;
            const uint32_t event = dut.out_events[n];
            print("o %d %" PRId64 " %u %u %u\n", n, now + 1 - (base >> 3), event & 0xffff, (event >> 16) & 0xff,
                  event >> 24);
            busy_left[n] = busy_after[n];
        }
        if (dut.pop && dut.present) {
            print("e %u %u %" PRId64 "\n", dut.kind, dut.channel, static_cast<int64_t>(dut.timestamp) - base);
        }
        dut.sys_clk = 1;
        dut.eval();
        dut.sys_clk = 0;
        dut.eval();
        cycles++;
    }

    template <typename Condition>
    void tick_while(Condition condition, const char* what) {
        const uint64_t start = cycles;
        while (condition()) {
            if (cycles - start > kStuck) fail(what);
            tick();
        }
    }

    template <typename Strobe>
    void pulse(Strobe& strobe) {
        strobe = 1;
        tick();
        strobe = 0;
    }

    void start_output(long long channel, long long time, long long address, long long data) {
        dut.cri_chan_sel = static_cast<uint32_t>(channel);
        dut.cri_o_timestamp = static_cast<uint64_t>(base + time);
        dut.cri_o_address = static_cast<uint8_t>(address);
        dut.cri_o_data = static_cast<uint32_t>(data);
        pulse(dut.cri_o_stb);
    }

    void start_input(long long channel, long long timeout) {
        dut.cri_chan_sel = static_cast<uint32_t>(channel);
        dut.cri_i_timeout = static_cast<uint64_t>(base + timeout);
        pulse(dut.cri_i_stb);
    }

    void show_output() { print("s %u %" PRId64 "\n", dut.cri_o_status, coarse() - (base >> 3)); }

    void show_input() {
        print("i %u %u %" PRId64 " %" PRId64 "\n", dut.cri_i_status, dut.cri_i_data,
              static_cast<int64_t>(dut.cri_i_timestamp) - base, coarse() - (base >> 3));
    }

    void command(char code, const std::array<long long, 4>& a) {
        const auto n = static_cast<size_t>(a[0]) % kChannels;
        switch (code) {
            case 'S':
                start_output(a[0], a[1], a[2], a[3]);
                tick_while([&] { return (dut.cri_o_status & 1) != 0; }, "output stuck");
                show_output();
                break;
            case 's': start_output(a[0], a[1], a[2], a[3]); break;
            case 'o': show_output(); break;
            case 'B': base = (coarse() + a[0]) * 8; break;
            case 'W': {
                const int64_t until = (base >> 3) + a[0];
                tick_while([&] { return coarse() < until; }, "time stuck");
                break;
            }
            case 'N': for (long long k = 0; k < a[0]; k++) tick(); break;
            case 'P': pop_chance = static_cast<unsigned>(a[0]); break;
            case 'p': pulse_pop(); break;
            case 'L': print("l %u %u %u\n", dut.lost1, dut.lost2, dut.lost3); break;
            case 'R': pulse(dut.core_reset); break;
            case 'H': pulse(dut.phy_reset); break;
            case 'X': dut.spread = a[0] != 0; break;
            case 'Y': busy_after[n] = static_cast<uint32_t>(a[1]); break;
            case 'Z':
                pattern_length[n] = static_cast<uint32_t>(a[1]);
                pattern[n] = static_cast<uint32_t>(a[2]);
                break;
            case 'I':
                inputs[n].push_back({(base >> 3) + a[1], static_cast<uint32_t>(a[2] | a[3] << 16)});
                break;
            case 'Q':
                start_input(a[0], a[1]);
                tick_while([&] { return (dut.cri_i_status & 4) != 0; }, "input stuck");
                show_input();
                break;
            case 'q': start_input(a[0], a[1]); break;
            case 'i': show_input(); break;
            case 'V': lfsr = static_cast<uint32_t>(a[0]) | 1; break;
            case 'T': print("t\n"); break;
            case 'C': print("c %" PRIu64 "\n", cycles); break;
            default: fail("unknown command in the script");
        }
    }

    // Pops in this cycle whatever the chance is.
    void pulse_pop() {
        const unsigned chance = pop_chance;
        pop_chance = 256;
        tick();
        pop_chance = chance;
    }
};

}  // namespace

int main(int argc, char** argv) {
    Bench bench;
    bench.context.commandArgs(argc, argv);
    bench.context.randReset(2);
    bench.context.randSeed(17);
    bench.dut.sys_clk = 0;
    bench.dut.sys_rst = 1;
    bench.tick();
    bench.dut.sys_rst = 0;
    bench.dut.eval();
    char line[128];
    while (fgets(line, sizeof line, stdin) != nullptr) {
        std::array<long long, 4> arguments{};
        char* at = line + 1;
        for (auto& argument : arguments) argument = strtoll(at, &at, 10);
        bench.command(line[0], arguments);
    }
    bench.flush();
    bench.dut.final();
    return 0;
}
