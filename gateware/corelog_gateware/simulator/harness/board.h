// The Verilated SoC with everything around its pads.
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "image.h"
#include "marks.h"
#include "network.h"
#include "options.h"
#include "storage.h"

class Vcorelog;
class VerilatedContext;
class VerilatedVcdC;

namespace corelog {

class Board {
public:
    enum ResetCause { POWER_ON, REQUESTED, WATCHDOG };

    // All references must outlive the board. Throws std::runtime_error if files cannot be opened.
    Board(const Options &options, const std::vector<Segment> &firmware, Storage &storage, Network &network);
    ~Board();
    Board(const Board &) = delete;
    Board &operator=(const Board &) = delete;

    // Run `count` cycles of the system clock.
    void run(uint64_t count);
    // Let readers of the UART and mark files see what was written so far.
    void flush();

    uint64_t cycles() const { return cycle_; }
    uint64_t resets() const { return resets_; }

private:
    void evaluate();
    void load();
    void watch_reset();
    void watch_pads();
    void send_word_to_board();
    void receive_word_from_board();
    uint32_t random_word();
    void open_waveform(const Options &options);
    void trace(int half);

    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vcorelog> soc_;
    VerilatedVcdC *waveform_ = nullptr;
    const std::vector<Segment> &firmware_;
    Storage &storage_;
    Network &network_;
    Marks marks_;
    FILE *uart_ = nullptr;
    bool uart_written_ = false;

    uint64_t cycle_ = 0;
    uint64_t resets_ = 0;
    bool ready_ = false;  // the firmware of the present boot has said that it is up
    bool in_reset_ = true;
    bool verbose_;

    const std::vector<uint8_t> *incoming_ = nullptr;  // frame on its way to the board
    size_t incoming_at_ = 0;
    unsigned gap_ = 0;
    std::vector<uint8_t> outgoing_;
    uint64_t outgoing_since_ = 0;

    bool seeded_;
    uint64_t seed_;
    uint64_t vcd_start_, vcd_left_;
};

}  // namespace corelog
