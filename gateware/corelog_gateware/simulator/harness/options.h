// Command line of the board program. The front end `corelog board` is what people type; it passes checked values on.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace corelog {

constexpr uint64_t MAX_SATELLITES = 8;

struct Options {
    std::string firmware;                // ELF file
    std::string satellite_firmware;      // ELF file of every satellite
    std::string address = "127.0.0.1";   // IPv4 loopback address whose ports 1380 and 1381 lead to the board
    std::string storage;                 // file of the configuration store; empty: memory
    std::string uart;                    // file for what the UART sends; empty: nowhere
    std::string vcd;                     // waveform file; empty: none
    std::string marks;                   // file for cycle stamps; empty: none
    std::optional<uint64_t> board_id;    // default: derived from the address
    std::optional<uint64_t> seed;        // of the entropy register; default: the operating system's randomness
    uint64_t cycles = 0;                 // stop after so many; 0: never
    uint64_t vcd_start = 0;              // first cycle in the waveform file
    uint64_t vcd_cycles = 500000;        // how many it holds at most
    uint64_t satellites = 0;             // boards behind the core device; the files of number n end with .n
    bool chain = false;                  // each satellite behind the one before
    double link_corrupt = 0;             // share of the symbols on every link that arrive wrong
    double link_drop = 0;                // share of the words that do not arrive
    std::string control;                 // Unix socket for commands; empty: none
    unsigned threads = 0;                // 0: as many as there are processors, at most one a board
    int parent = 0;                      // process without which to end; 0: none
    bool free_run = false;               // as fast as possible instead of real time
    bool print_speed = false;
    bool verbose = false;
};

// Throws std::runtime_error that says what is wrong.
Options parse_options(int argc, char **argv);

}  // namespace corelog
