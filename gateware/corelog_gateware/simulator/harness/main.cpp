// The simulated board as a program: real time or free running, until SIGTERM, SIGINT or the end of its cycles.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <stdexcept>

#include "board.h"
#include "corelog_soc.h"

using namespace corelog;

static volatile sig_atomic_t stop_requested = 0;
static void request_stop(int) { stop_requested = 1; }

static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_utime.tv_usec * 1e-6;
}

static timespec duration(double seconds) {
    timespec t;
    t.tv_sec = static_cast<time_t>(seconds);
    t.tv_nsec = static_cast<long>((seconds - static_cast<double>(t.tv_sec)) * 1e9);
    return t;
}

// Board time follows wall time. A board that fell behind catches up at full speed; after a longer pause (a stopped
// process, a machine too slow) the lost time is given up, so that it does not race for ever.
class Pacer {
public:
    static constexpr double MAX_LAG = 0.1;

    explicit Pacer(bool free_run) : free_run_(free_run), origin_(now()) {}

    // Seconds until the board may go on after `cycles`; 0 if it is late or runs free.
    double ahead(uint64_t cycles) {
        if (free_run_) return 0;
        double ahead = origin_ + static_cast<double>(cycles) / CLOCK_FREQUENCY - now();
        if (ahead < -MAX_LAG) {
            given_up_ -= ahead;
            origin_ -= ahead;
        }
        return std::max(ahead, 0.0);
    }
    double given_up() const { return given_up_; }

private:
    bool free_run_;
    double origin_;
    double given_up_ = 0;
};

static void die_with(int parent) {
    if (!parent) return;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) stop_requested = 1;  // it was gone before
}

static void announce(const Options &options) {
    printf("corelog board is now running on %s (management %u, session %u).\n", options.address.c_str(),
           Network::MANAGEMENT_PORT, Network::SESSION_PORT);
    fflush(stdout);
}

static void report(const Options &options, const Board &board, const Network &network, const Pacer &pacer,
                   double wall, double cpu) {
    double cycles = static_cast<double>(board.cycles());
    if (options.print_speed) {
        printf("speed: %.2f Mcycles/s of CPU time, %.2f Mcycles/s of wall time (%.0f cycles, %.2f CPU s, %.2f s)\n",
               cycles / cpu / 1e6, cycles / wall / 1e6, cycles, cpu, wall);
        fflush(stdout);
    }
    if (options.verbose)
        fprintf(stderr, "board: %.0f cycles, %llu resets, %.3f s behind given up; frames: %llu to the board, %llu from "
                        "it, %llu dropped, %llu malformed\n",
                cycles, static_cast<unsigned long long>(board.resets()), pacer.given_up(),
                static_cast<unsigned long long>(network.frames_in()),
                static_cast<unsigned long long>(network.frames_out()),
                static_cast<unsigned long long>(network.dropped()),
                static_cast<unsigned long long>(network.malformed()));
}

static void run(const Options &options) {
    auto firmware = read_image(options.firmware, MAIN_RAM_BASE, MAIN_RAM_SIZE);
    Storage storage(options.storage);
    Network network(options.address, options.verbose);
    Board board(options, firmware, storage, network);
    // Network and files are looked at this often: a quarter of a millisecond of board time.
    const uint64_t slice = CLOCK_FREQUENCY / 4000;
    bool announced = false;
    double started = now(), cpu_started = cpu_seconds();
    Pacer pacer(options.free_run);
    while (!stop_requested && (!options.cycles || board.cycles() < options.cycles)) {
        board.run(options.cycles ? std::min(slice, options.cycles - board.cycles()) : slice);
        board.flush();
        if (network.serving() && !announced) {
            announce(options);
            announced = true;
        }
        network.poll(duration(pacer.ahead(board.cycles())));
        // What woke it may stay pending (a closed connection), so the rest of the slice is slept without looking.
        for (double ahead; !stop_requested && (ahead = pacer.ahead(board.cycles())) > 0;) {
            timespec rest = duration(ahead);
            nanosleep(&rest, nullptr);
        }
    }
    report(options, board, network, pacer, now() - started, cpu_seconds() - cpu_started);
}

int main(int argc, char **argv) {
    try {
        Options options = parse_options(argc, argv);
        // One that arrives just before a wait delays the end by a slice, so none needs to be blocked.
        struct sigaction stop {};
        stop.sa_handler = request_stop;
        sigaction(SIGTERM, &stop, nullptr);
        sigaction(SIGINT, &stop, nullptr);
        signal(SIGPIPE, SIG_IGN);
        die_with(options.parent);
        run(options);
    } catch (const std::exception &error) {
        fprintf(stderr, "corelog board: error: %s\n", error.what());
        return 1;
    }
    return 0;
}
