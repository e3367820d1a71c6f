#include "link.h"

#include <cmath>

namespace corelog {

uint64_t Random::next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void Chance::set(double rate) {
    rate_ = rate;
    draw();
}

// How many are spared before the next: geometrically distributed.
void Chance::draw() {
    if (rate_ <= 0) {
        left_ = UINT64_MAX;
        return;
    }
    if (rate_ >= 1) {
        left_ = 0;
        return;
    }
    double uniform = (static_cast<double>(random_.next() >> 11) + 0.5) * 0x1p-53;
    double spared = std::floor(std::log(uniform) / std::log1p(-rate_));
    left_ = spared < 0x1p63 ? static_cast<uint64_t>(spared) : UINT64_MAX;
}

// A damaged symbol is no valid code in half of the cases, else another symbol; in a quarter of these a K symbol for a D
// symbol or the other way round.
uint32_t Pipe::damage(uint32_t word) {
    for (unsigned byte = 0; byte < 2; byte++) {
        if (!corrupt_.happens()) continue;
        corrupted_++;
        uint64_t r = random_.next();
        word ^= (1 + (r >> 8) % 255) << 8 * byte;
        if (r & 1)
            word |= BAD;
        else if ((r >> 1 & 3) == 0)
            word ^= 1 << (16 + byte);
    }
    if (drop_.happens()) {
        dropped_++;
        word = UP | BAD | (random_.next() & SYMBOLS);
    }
    return word;
}

void Pipe::transmit(uint64_t cycle) {
    bool faulty = corrupt_.rate() > 0 || drop_.rate() > 0;
    uint32_t *block = sent(cycle);
    for (unsigned i = 0; i < LATENCY; i++) {
        is_up_ = !is_cut_ && block[i] & ENABLE;
        if (!is_up_) {
            block[i] = 0;
            continue;
        }
        words_++;
        uint32_t first = block[i] & FIRST;
        aux_ += first == AUX || first == AUX_LAST;
        block[i] = (block[i] & SYMBOLS) | UP;
        if (faulty) block[i] = damage(block[i]);
    }
}

}  // namespace corelog
