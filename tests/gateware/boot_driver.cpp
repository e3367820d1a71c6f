// A flash and a clock for the SoC under test: arguments are the flash's image, the cycles to give up after, how many
// first cycles of the flash's clock get lost, as STARTUPE2 loses them, for how many cycles the flash is busy, and a
// text. UART bytes go to standard output; the end comes with that text, with the first mark (printed as "mark <hex>"),
// with the bootloader's prompt or "give up".
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

namespace {

// SPI mode 0, commands 0x03 (read) and 0x05 (status) only. Answers no read while it is busy.
struct Flash {
    std::vector<uint8_t> bytes;
    unsigned lost;
    uint64_t busy;
    unsigned asked = 0;
    bool clk = false;
    unsigned bits = 0;
    uint64_t in = 0;
    uint8_t command = 0;
    uint32_t address = 0;
    bool miso = true;

    void step(bool cs_n, bool new_clk, bool mosi) {
        const bool rise = new_clk && !clk, fall = !new_clk && clk;
        if (busy > 0) busy -= 1;
        clk = new_clk;
        if (lost > 0) {
            lost -= fall;
            return;
        }
        if (cs_n) {
            bits = 0;
            in = 0;
            miso = true;
        } else if (rise) {
            in = in << 1 | mosi;
            bits += 1;
            if (bits == 8) {
                command = uint8_t(in);
                if (command != 0x03 && command != 0x05) {
                    printf("\nflash: command %02x\n", command);
                    exit(3);
                }
                if (command == 0x03 && busy > 0) {
                    printf("\nflash: read while busy\n");
                    exit(3);
                }
                asked += command == 0x05;
            }
            if (bits == 32) address = in & 0xffffff;
        } else if (fall && command == 0x05 && bits >= 8) {
            miso = bits % 8 == 7 && busy > 0;
        } else if (fall && command == 0x03 && bits >= 32) {
            const unsigned n = bits - 32;
            const uint32_t at = (address + n / 8) & 0xffffff;
            const uint8_t byte = at < bytes.size() ? bytes[at] : 0xff;
            miso = byte >> (7 - n % 8) & 1;
        }
    }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    Flash flash{};
    flash.lost = unsigned(strtoul(argv[3], nullptr, 0));
    flash.busy = strtoull(argv[4], nullptr, 0);
    FILE* file = fopen(argv[1], "rb");
    if (!file) return 2;
    for (int c; (c = fgetc(file)) != EOF;) flash.bytes.push_back(uint8_t(c));
    fclose(file);
    const uint64_t limit = strtoull(argv[2], nullptr, 0);
    VerilatedContext context;
    Vdut dut{&context};
    const std::string ends[] = {"litex\x1b[0m> ", argv[5]};
    std::string text;
    dut.identity_board_id = 0x123456789abcd;
    for (uint64_t cycle = 0; cycle < limit; ++cycle) {
        dut.clk = 0;
        dut.eval();
        flash.step(dut.flash_cs_n, dut.flash_clk, dut.flash_mosi);
        dut.flash_miso = flash.miso;
        dut.identity_entropy = uint32_t(cycle * 2654435761u);
        dut.clk = 1;
        dut.eval();
        if (dut.serial_tx_valid) {
            text.push_back(char(dut.serial_tx_data));
            putchar(dut.serial_tx_data);
            for (const std::string& end : ends) {
                if (text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0) return 0;
            }
        }
        if (dut.identity_marked) {
            printf("\nmark %08x cycle %llu asked %u\n", unsigned(dut.identity_mark),
                   static_cast<unsigned long long>(cycle), flash.asked);
            return 0;
        }
    }
    printf("\ngive up\n");
    return 1;
}
