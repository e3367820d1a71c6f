// Runs a tree of boards cycle by cycle; drtio_bench.py describes the commands and fills in the ports.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

namespace {

struct Port {
    void* at;
    int bits;

    uint64_t get() const {
        if (bits <= 8) return *static_cast<uint8_t*>(at);
        if (bits <= 16) return *static_cast<uint16_t*>(at);
        if (bits <= 32) return *static_cast<uint32_t*>(at);
        return *static_cast<uint64_t*>(at);
    }

    void set(uint64_t value) const {
        if (bits <= 8) *static_cast<uint8_t*>(at) = static_cast<uint8_t>(value);
        else if (bits <= 16) *static_cast<uint16_t*>(at) = static_cast<uint16_t>(value);
        else if (bits <= 32) *static_cast<uint32_t*>(at) = static_cast<uint32_t>(value);
        else *static_cast<uint64_t*>(at) = value;
    }
};

struct Symbols {
    uint16_t d = 0;
    uint8_t k = 0;
    bool enable = false;
};

// What one end of a link receives: what the other sent `latency` cycles ago, damaged now and then.
struct Pipe {
    Port tx_d, tx_k, tx_enable;  // of the other end
    Port rx_d, rx_k, rx_bad, rx_up;
    std::deque<Symbols> wire;
    bool cut = false;
    uint32_t chance = 0;  // of 2^32, per word
    uint64_t damaged = 0;
};

struct Watch {
    Port strobe;
    std::string name;
    std::vector<Port> values;
};

struct Bench {
    VerilatedContext context;
    Vdut dut{&context};
    std::map<std::string, Port> ports;
    std::vector<Pipe> pipes;
    std::vector<Watch> watches;
    std::string seen;
    uint64_t cycle = 0;
    uint64_t state = 88172645463325252ull;

    uint32_t random() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<uint32_t>(state >> 16);
    }

    Port port(const std::string& name) {
        const auto found = ports.find(name);
        if (found == ports.end()) {
            fprintf(stderr, "no port %s\n", name.c_str());
            exit(2);
        }
        return found->second;
    }

    void receive(Pipe& pipe) {
        const Symbols now = pipe.wire.front();
        pipe.wire.pop_front();
        const bool up = now.enable && !pipe.cut;
        pipe.rx_up.set(up);
        if (!up) return;
        Symbols word = now;
        bool bad = false;
        if (pipe.chance != 0 && random() < pipe.chance) {
            pipe.damaged++;
            switch (random() % 4) {
                case 0: bad = true; break;
                case 1: word.d ^= static_cast<uint16_t>(1u << (random() % 16)); break;
                case 2: word.k ^= static_cast<uint8_t>(1 + random() % 3); break;
                default: word.d = static_cast<uint16_t>(random()); word.k = random() % 4 == 0; break;
            }
        }
        pipe.rx_d.set(word.d);
        pipe.rx_k.set(word.k);
        pipe.rx_bad.set(bad);
    }

    // One clock cycle: inputs were set, outputs are looked at, then the clock edge; links move on.
    void tick() {
        for (auto& pipe : pipes) receive(pipe);
        dut.eval();
        for (const auto& watch : watches) {
            if (watch.strobe.get() == 0) continue;
            seen += std::to_string(cycle) + " " + watch.name;
            for (const auto& value : watch.values) seen += " " + std::to_string(value.get());
            seen += "\n";
        }
        for (auto& pipe : pipes) {
            pipe.wire.push_back({static_cast<uint16_t>(pipe.tx_d.get()), static_cast<uint8_t>(pipe.tx_k.get()),
                                 pipe.tx_enable.get() != 0});
        }
        dut.sys_clk = 1;
        dut.eval();
        dut.sys_clk = 0;
        dut.eval();
        cycle++;
    }

    void attach(int end, int latency) {
        const std::string mine = "phy" + std::to_string(end) + "_", other = "phy" + std::to_string(end ^ 1) + "_";
        Pipe pipe{port(other + "tx_d"), port(other + "tx_k"), port(other + "tx_enable"), port(mine + "rx_d"),
                  port(mine + "rx_k"), port(mine + "rx_bad"), port(mine + "rx_up"), {}};
        // What is pushed in cycle c is received in c + latency.
        pipe.wire.resize(static_cast<size_t>(latency));
        pipes.push_back(pipe);
    }

    void command(const std::vector<std::string>& words) {
        const auto number = [&](size_t n) { return strtoull(words.at(n).c_str(), nullptr, 0); };
        const char code = words.at(0)[0];
        if (code == 's') {
            port(words.at(1)).set(number(2));
        } else if (code == 'p') {
            port(words.at(1)).set(number(2));
            tick();
            port(words.at(1)).set(0);
            dut.eval();
        } else if (code == 'n') {
            for (uint64_t left = number(1); left != 0; left--) tick();
        } else if (code == 'g') {
            dut.eval();
            printf("%" PRIu64 "\n", port(words.at(1)).get());
        } else if (code == 'u') {
            const Port watched = port(words.at(1));
            const uint64_t mask = number(2), value = number(3), limit = number(4);
            uint64_t left = limit;
            dut.eval();
            while ((watched.get() & mask) != value && left != 0) {
                tick();
                left--;
            }
            printf("%" PRId64 "\n",
                   (watched.get() & mask) == value ? static_cast<int64_t>(limit - left) : int64_t{-1});
        } else if (code == 'w') {
            Watch watch{port(words.at(1)), words.at(1), {}};
            for (size_t n = 2; n < words.size(); n++) watch.values.push_back(port(words[n]));
            watches.push_back(watch);
        } else if (code == 'e') {
            printf("%s.\n", seen.c_str());
            seen.clear();
        } else if (code == 'l') {
            attach(static_cast<int>(number(1)), static_cast<int>(number(2)));
        } else if (code == 'c') {
            pipes.at(number(1)).cut = number(2) != 0;
        } else if (code == 'x') {
            pipes.at(number(1)).chance = static_cast<uint32_t>(number(2));
        } else if (code == 'd') {
            printf("%" PRIu64 "\n", pipes.at(number(1)).damaged);
        } else if (code == 'v') {
            state = number(1) | 1;
        } else if (code == 't') {
            printf("%" PRIu64 "\n", cycle);
        } else {
            fprintf(stderr, "unknown command %s\n", words[0].c_str());
            exit(2);
        }
    }
};

}  // namespace

int main(int argc, char** argv) {
    Bench bench;
    bench.context.commandArgs(argc, argv);
    bench.context.randReset(2);
    bench.context.randSeed(17);
    auto& dut = bench.dut;
    auto& ports = bench.ports;
    // PORTS
    for (auto& [name, port] : ports) port.set(0);
    dut.sys_clk = 0;
    dut.sys_rst = 1;
    bench.tick();
    dut.sys_rst = 0;
    dut.eval();
    char line[256];
    while (fgets(line, sizeof line, stdin) != nullptr) {
        std::vector<std::string> words;
        for (const char* at = line; *at != 0 && *at != '\n';) {
            std::string word;
            while (*at != 0 && *at != '\n' && *at != ' ') word += *at++;
            while (*at == ' ') at++;
            words.push_back(word);
        }
        if (!words.empty()) bench.command(words);
        fflush(stdout);
    }
    dut.final();
    return 0;
}
