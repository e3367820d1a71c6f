#include "image.h"

#include <elf.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace corelog {

static std::string hex(uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "0x%08llx", static_cast<unsigned long long>(value));
    return text;
}

std::vector<Segment> read_image(const std::string &path, uint32_t base, uint32_t size) {
    auto fail = [&](const std::string &what) { return std::runtime_error("firmware " + path + ": " + what); };
    std::ifstream file(path, std::ios::binary);
    if (!file) throw fail(std::string("cannot be opened: ") + strerror(errno));
    std::vector<uint8_t> image((std::istreambuf_iterator<char>(file)), {});
    Elf32_Ehdr header;
    if (image.size() < sizeof header) throw fail("is no ELF file");
    memcpy(&header, image.data(), sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG)) throw fail("is no ELF file");
    if (header.e_ident[EI_CLASS] != ELFCLASS32 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_RISCV)
        throw fail("is not for a 32-bit RISC-V CPU");
    if (header.e_entry != base)
        throw fail("starts at " + hex(header.e_entry) + ", but the CPU starts at " + hex(base));
    if (header.e_phentsize != sizeof(Elf32_Phdr)) throw fail("has program headers of a strange size");
    std::vector<Segment> segments;
    for (uint64_t i = 0; i < header.e_phnum; i++) {
        uint64_t offset = header.e_phoff + i * sizeof(Elf32_Phdr);
        Elf32_Phdr program;
        if (offset + sizeof program > image.size()) throw fail("is cut off");
        memcpy(&program, image.data() + offset, sizeof program);
        if (program.p_type != PT_LOAD || !program.p_memsz) continue;
        if (program.p_filesz > program.p_memsz) throw fail("has a segment larger than its memory");
        if (uint64_t(program.p_offset) + program.p_filesz > image.size()) throw fail("is cut off");
        if (program.p_paddr < base || uint64_t(program.p_paddr) + program.p_memsz > uint64_t(base) + size)
            throw fail("does not fit: a segment of " + std::to_string(program.p_memsz) + " bytes at " +
                       hex(program.p_paddr) + " lies outside of the main memory");
        if (!program.p_filesz) continue;
        auto begin = image.begin() + program.p_offset;
        segments.push_back({program.p_paddr, std::vector<uint8_t>(begin, begin + program.p_filesz)});
    }
    if (segments.empty()) throw fail("has nothing to load");
    return segments;
}

}  // namespace corelog
