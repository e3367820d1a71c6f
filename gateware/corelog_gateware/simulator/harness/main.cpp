// The simulated board as a program: real time or free running, until SIGTERM, SIGINT or the end of its cycles.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <stdexcept>

#include "commands.h"
#include "control.h"
#include "corelog_soc.h"
#include "network.h"
#include "tree.h"

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

static void report(const Options &options, Tree &tree, const Network &network, const Pacer &pacer, double wall,
                   double cpu) {
    double cycles = static_cast<double>(tree.cycles());
    if (options.print_speed) {
        printf("speed: %.2f Mcycles/s of CPU time, %.2f Mcycles/s of wall time (%.0f cycles, %.2f CPU s, %.2f s)\n",
               cycles / cpu / 1e6, cycles / wall / 1e6, cycles, cpu, wall);
        fflush(stdout);
    }
    if (!options.verbose) return;
    using Count = unsigned long long;
    fprintf(stderr, "board: %.0f cycles, %llu resets, %.3f s behind given up; frames: %llu to the board, %llu from "
                    "it, %llu dropped, %llu malformed\n",
            cycles, Count(tree.board(0).resets()), pacer.given_up(), Count(network.frames_in()),
            Count(network.frames_out()), Count(network.dropped()), Count(network.malformed()));
    for (size_t n = 1; n < tree.size(); n++) {
        const Pipe &down = tree.pipe(n, Tree::DOWN), &up = tree.pipe(n, Tree::UP);
        fprintf(stderr, "board %zu: %llu resets; its link: %llu words down (%llu symbols corrupted, %llu words "
                        "dropped), %llu up (%llu, %llu)\n",
                n, Count(tree.board(n).resets()), Count(down.words()), Count(down.corrupted()), Count(down.dropped()),
                Count(up.words()), Count(up.corrupted()), Count(up.dropped()));
    }
}

static void run(const Options &options) {
    Network network(options.address, options.verbose);
    Tree tree(options, network);
    Control control(options.control, [&](const std::string &line) { return execute(tree, line); });
    // Network, control and files are looked at this often: a quarter of a millisecond of board time, in whole blocks.
    const uint64_t slice = (CLOCK_FREQUENCY / 4000 / Pipe::LATENCY + 1) * Pipe::LATENCY;
    bool announced = false;
    double started = now(), cpu_started = cpu_seconds();
    Pacer pacer(options.free_run);
    while (!stop_requested && (!options.cycles || tree.cycles() < options.cycles)) {
        tree.run(options.cycles ? std::min(slice, options.cycles - tree.cycles()) : slice);
        tree.flush();
        if (network.serving() && !announced) {
            announce(options);
            announced = true;
        }
        network.poll(duration(pacer.ahead(tree.cycles())));
        control.poll();
        // What woke it may stay pending (a closed connection), so the rest of the slice is slept without looking.
        for (double ahead; !stop_requested && (ahead = pacer.ahead(tree.cycles())) > 0;) {
            timespec rest = duration(ahead);
            nanosleep(&rest, nullptr);
        }
    }
    report(options, tree, network, pacer, now() - started, cpu_seconds() - cpu_started);
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
