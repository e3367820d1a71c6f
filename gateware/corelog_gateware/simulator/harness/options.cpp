#include "options.h"

#include <getopt.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace corelog {

static uint64_t number(const char *option, const char *text, int base) {
    char *end = nullptr;
    errno = 0;
    uint64_t value = strtoull(text, &end, base);
    if (errno || end == text || *end || *text == '-')
        throw std::runtime_error(std::string("option --") + option + ": '" + text + "' is not a number");
    return value;
}

static double rate(const char *option, const char *text) {
    char *end = nullptr;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 1))
        throw std::runtime_error(std::string("option --") + option + ": '" + text + "' is not between 0 and 1");
    return value;
}

Options parse_options(int argc, char **argv) {
    enum { FIRMWARE = 1, ADDRESS, STORAGE, UART, VCD, MARKS, BOARD_ID, SEED, CYCLES, VCD_START, VCD_CYCLES, PARENT,
           FREE_RUN, SPEED, VERBOSE, SATELLITES, CHAIN, SATELLITE_FIRMWARE, CORRUPT, DROP, CONTROL, THREADS };
    static const option table[] = {
        {"firmware", required_argument, nullptr, FIRMWARE},
        {"address", required_argument, nullptr, ADDRESS},
        {"storage", required_argument, nullptr, STORAGE},
        {"uart", required_argument, nullptr, UART},
        {"vcd", required_argument, nullptr, VCD},
        {"trace-marks", required_argument, nullptr, MARKS},
        {"board-id", required_argument, nullptr, BOARD_ID},
        {"seed", required_argument, nullptr, SEED},
        {"cycles", required_argument, nullptr, CYCLES},
        {"vcd-start", required_argument, nullptr, VCD_START},
        {"vcd-cycles", required_argument, nullptr, VCD_CYCLES},
        {"parent", required_argument, nullptr, PARENT},
        {"free-run", no_argument, nullptr, FREE_RUN},
        {"print-speed", no_argument, nullptr, SPEED},
        {"verbose", no_argument, nullptr, VERBOSE},
        {"satellites", required_argument, nullptr, SATELLITES},
        {"chain", no_argument, nullptr, CHAIN},
        {"satellite-firmware", required_argument, nullptr, SATELLITE_FIRMWARE},
        {"link-corrupt", required_argument, nullptr, CORRUPT},
        {"link-drop", required_argument, nullptr, DROP},
        {"control", required_argument, nullptr, CONTROL},
        {"threads", required_argument, nullptr, THREADS},
        {nullptr, 0, nullptr, 0},
    };
    Options o;
    int index = 0;
    for (int c; (c = getopt_long(argc, argv, "", table, &index)) != -1;) {
        const char *name = table[index].name;
        switch (c) {
        case FIRMWARE: o.firmware = optarg; break;
        case ADDRESS: o.address = optarg; break;
        case STORAGE: o.storage = optarg; break;
        case UART: o.uart = optarg; break;
        case VCD: o.vcd = optarg; break;
        case MARKS: o.marks = optarg; break;
        case BOARD_ID: o.board_id = number(name, optarg, 16); break;
        case SEED: o.seed = number(name, optarg, 10); break;
        case CYCLES: o.cycles = number(name, optarg, 10); break;
        case VCD_START: o.vcd_start = number(name, optarg, 10); break;
        case VCD_CYCLES: o.vcd_cycles = number(name, optarg, 10); break;
        case PARENT: o.parent = static_cast<int>(number(name, optarg, 10)); break;
        case FREE_RUN: o.free_run = true; break;
        case SPEED: o.print_speed = true; break;
        case VERBOSE: o.verbose = true; break;
        case SATELLITES: o.satellites = number(name, optarg, 10); break;
        case CHAIN: o.chain = true; break;
        case SATELLITE_FIRMWARE: o.satellite_firmware = optarg; break;
        case CORRUPT: o.link_corrupt = rate(name, optarg); break;
        case DROP: o.link_drop = rate(name, optarg); break;
        case CONTROL: o.control = optarg; break;
        case THREADS: o.threads = static_cast<unsigned>(number(name, optarg, 10)); break;
        default: throw std::runtime_error("unknown option; `corelog board --help` lists them");
        }
    }
    if (optind != argc) throw std::runtime_error(std::string("unexpected argument '") + argv[optind] + "'");
    if (o.firmware.empty()) throw std::runtime_error("option --firmware is needed");
    if (o.satellites > MAX_SATELLITES)
        throw std::runtime_error("a tree has at most " + std::to_string(MAX_SATELLITES) + " satellites, not " +
                                 std::to_string(o.satellites));
    if (o.satellites && o.satellite_firmware.empty())
        throw std::runtime_error("option --satellite-firmware is needed");
    if (!o.satellites && (o.chain || o.link_corrupt || o.link_drop))
        throw std::runtime_error("--chain, --link-corrupt and --link-drop mean nothing without --satellites");
    return o;
}

}  // namespace corelog
