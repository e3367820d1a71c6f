// Cycle stamps for measurements, one line each: what happened, in which cycle since power-on, with which value.
#pragma once
#include <cinttypes>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace corelog {

// Lines: `mark CYCLE VALUE` (firmware wrote identity.mark), `error CYCLE` (an RTIO error, or several in one cycle,
// arose), `ttl CYCLE VALUE` (the TTL pads changed to VALUE, bit n is pad n), `frame CYCLE LENGTH` (first byte of a
// frame left the MAC), `ready CYCLE`, `reset CYCLE CAUSE`, `off CYCLE`, `on CYCLE`. All boards count the same cycles.
class Marks {
public:
    explicit Marks(const std::string &path) {
        if (path.empty()) return;
        file_ = fopen(path.c_str(), "we");
        if (!file_) throw std::runtime_error("file for marks " + path + " cannot be written");
    }
    ~Marks() {
        if (file_) fclose(file_);
    }
    Marks(const Marks &) = delete;
    Marks &operator=(const Marks &) = delete;

    void put(const char *what, uint64_t cycle) {
        if (!file_) return;
        fprintf(file_, "%s %" PRIu64 "\n", what, cycle);
        written_ = true;
    }
    void put(const char *what, uint64_t cycle, uint64_t value) {
        if (!file_) return;
        fprintf(file_, "%s %" PRIu64 " %" PRIu64 "\n", what, cycle, value);
        written_ = true;
    }
    void flush() {
        if (written_) fflush(file_);
        written_ = false;
    }

private:
    FILE *file_ = nullptr;
    bool written_ = false;
};

}  // namespace corelog
