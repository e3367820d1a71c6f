// The firmware image: loadable segments of a 32-bit little-endian RISC-V ELF file.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace corelog {

struct Segment {
    uint32_t address;
    std::vector<uint8_t> bytes;  // as in the file; memory beyond them (bss, retained) is the firmware's business
};

// Checks every offset and length, that each segment lies in [base, base + size) and that the entry is `base`, where the
// CPU starts. Throws std::runtime_error that names the file and what is wrong with it.
std::vector<Segment> read_image(const std::string &path, uint32_t base, uint32_t size);

}  // namespace corelog
