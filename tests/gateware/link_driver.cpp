// Sends words through a pipe of the simulated board: reads blocks of words and settings, prints what arrives.
//
//     link_driver SEED < lines:  WORD (hexadecimal, one cycle) | cut 0|1 | corrupt RATE | drop RATE
//
// Settings hold from the block on in which they stand. Prints a word per cycle, then `CORRUPTED DROPPED WORDS`.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "link.h"

int main(int, char **argv) {
    corelog::Pipe pipe(strtoull(argv[1], nullptr, 10));
    uint64_t cycle = 0;
    for (std::string line; std::getline(std::cin, line);) {
        size_t space = line.find(' ');
        std::string what = line.substr(0, space);
        if (space != std::string::npos) {
            double value = strtod(line.c_str() + space, nullptr);
            if (what == "cut") pipe.cut(value != 0);
            if (what == "corrupt") pipe.corrupt(value);
            if (what == "drop") pipe.drop(value);
            continue;
        }
        uint64_t first = cycle - cycle % corelog::Pipe::LATENCY;
        printf("%x\n", pipe.received(first)[cycle - first]);
        pipe.sent(first)[cycle - first] = static_cast<uint32_t>(strtoul(line.c_str(), nullptr, 16));
        if (++cycle % corelog::Pipe::LATENCY == 0) pipe.transmit(first);
    }
    printf("%llu %llu %llu\n", static_cast<unsigned long long>(pipe.corrupted()),
           static_cast<unsigned long long>(pipe.dropped()), static_cast<unsigned long long>(pipe.words()));
}
