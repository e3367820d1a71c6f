// A board: a Verilated SoC with everything around its pads, whichever model it is.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image.h"
#include "link.h"

namespace corelog {

class Network;
class Storage;

// What makes a board this one. References and pointers must outlive it.
struct Setup {
    unsigned number;                         // 0: core device, n: satellite n
    const std::vector<Segment> &firmware;
    Network *network;                        // only the core device's
    Storage &storage;
    std::string uart, vcd, marks;            // files; empty: none
    uint64_t board_id;
    std::optional<uint64_t> seed;            // of the entropy register; default: the operating system's randomness
    uint64_t vcd_start, vcd_cycles;
    bool verbose;

    // `board`, `board 1`, ...: in messages.
    std::string name() const { return number ? "board " + std::to_string(number) : "board"; }
};

class Board {
public:
    enum ResetCause { POWER_ON, REQUESTED, WATCHDOG };

    virtual ~Board() = default;
    Board(const Board &) = delete;
    Board &operator=(const Board &) = delete;

    // Lead port `port` to the two pipes. The last port of a satellite is its uplink.
    virtual void connect(unsigned port, Pipe &out, const Pipe &in) = 0;
    // Run `count` cycles of the system clock; of a board that is connected not beyond the next multiple of
    // Pipe::LATENCY. While the board is off, only time passes.
    virtual void run(uint64_t count) = 0;
    // Let readers of the UART and mark files see what was written so far.
    virtual void flush() = 0;
    // The reset button: memory keeps its contents.
    virtual void press_reset() = 0;
    // Off: everything but the store is forgotten. On: as after the start. Nothing happens if it is so already.
    virtual void switch_off() = 0;
    virtual void switch_on() = 0;

    virtual unsigned downstream_ports() const = 0;
    virtual bool traced() const = 0;  // into a waveform file: it cannot be switched off

    bool on() const { return on_; }
    bool ready() const { return ready_; }  // the firmware of the present boot has said that it is up
    uint64_t cycles() const { return cycle_; }  // since the start of the program
    uint64_t resets() const { return resets_; }

protected:
    Board() = default;

    bool on_ = true;
    bool ready_ = false;
    uint64_t cycle_ = 0;
    uint64_t resets_ = 0;
};

// The models linked to the program, by the name of their variant. Makers throw std::runtime_error if files cannot be
// opened.
using MakeBoard = std::unique_ptr<Board> (*)(const Setup &);
std::map<std::string, MakeBoard> &models();

}  // namespace corelog
