// A DRTIO link of the simulation: two pipes of symbols, and the faults that they can have.
#pragma once
#include <cstdint>

namespace corelog {

// Random numbers that are the same for the same seed everywhere (SplitMix64).
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next();

private:
    uint64_t state_;
};

// Says of every one of a row of things whether it happens to it, each with probability `rate`.
class Chance {
public:
    explicit Chance(uint64_t seed) : random_(seed) {}
    void set(double rate);
    double rate() const { return rate_; }
    bool happens() {
        if (left_) {
            left_--;
            return false;
        }
        draw();
        return true;
    }

private:
    void draw();

    Random random_;
    double rate_ = 0;
    uint64_t left_ = UINT64_MAX;
};

// One direction: what the sender's pads show in cycle t is in the receiver's registers in cycle t + LATENCY. Words go
// in blocks of LATENCY cycles, so that both boards can run that long without each other.
class Pipe {
public:
    static constexpr unsigned LATENCY = 64;
    // As sent: d 16 bits, k 2, enable. As received: d 16, k 2, bad, up.
    static constexpr uint32_t SYMBOLS = 0x3ffff, ENABLE = 1 << 18, BAD = 1 << 18, UP = 1 << 19;
    // Byte 0 and its K bit; what they are in words of aux frames.
    static constexpr uint32_t FIRST = 0x100ff, AUX = 0x1003c, AUX_LAST = 0x1005c;

    explicit Pipe(uint64_t seed) : corrupt_(seed), drop_(seed + 1), random_(seed + 2) {}

    // The words of the LATENCY cycles from `cycle`, a multiple of LATENCY: for the sender to fill, ...
    uint32_t *sent(uint64_t cycle) { return blocks_[cycle / LATENCY & 1]; }
    // ... and for the receiver: those of the block before.
    const uint32_t *received(uint64_t cycle) const { return blocks_[~(cycle / LATENCY) & 1]; }
    // The sender has filled the block from `cycle` on: its words become what will be received.
    void transmit(uint64_t cycle);

    // Faults of the words transmitted from now on.
    void cut(bool yes) { is_cut_ = yes; }
    void corrupt(double rate) { corrupt_.set(rate); }  // of symbols
    void drop(double rate) { drop_.set(rate); }        // of words

    bool is_cut() const { return is_cut_; }
    bool is_up() const { return is_up_; }  // the last word arrived
    double corrupt_rate() const { return corrupt_.rate(); }
    double drop_rate() const { return drop_.rate(); }
    uint64_t words() const { return words_; }
    uint64_t aux() const { return aux_; }              // words of aux frames, a byte each, as sent
    uint64_t corrupted() const { return corrupted_; }  // symbols
    uint64_t dropped() const { return dropped_; }      // words

private:
    uint32_t damage(uint32_t word);

    uint32_t blocks_[2][LATENCY] = {};
    Chance corrupt_, drop_;
    Random random_;
    bool is_cut_ = false, is_up_ = false;
    uint64_t words_ = 0, aux_ = 0, corrupted_ = 0, dropped_ = 0;
};

}  // namespace corelog
