#include "tree.h"

#include <algorithm>
#include <random>
#include <stdexcept>

#include "corelog_soc.h"

namespace corelog {

std::map<std::string, MakeBoard> &models() {
    static std::map<std::string, MakeBoard> found;
    return found;
}

// The same for the same text in every run (64-bit FNV-1a), so that host programs recognise the board.
static uint64_t hash(const std::string &text) {
    uint64_t value = 0xcbf29ce484222325;
    for (unsigned char c : text) value = (value ^ c) * 0x100000001b3;
    return value;
}

static std::string numbered(const std::string &file, size_t number) {
    return file.empty() || !number ? file : file + "." + std::to_string(number);
}

static size_t threads_for(const Options &options, size_t boards) {
    size_t wanted = options.threads ? options.threads : std::thread::hardware_concurrency();
    return std::clamp<size_t>(wanted, 1, boards);
}

// Destination n is n boards down the first ports; see docs/drtio.md for the format.
static std::string chain_routing_table(size_t satellites) {
    constexpr size_t RANKS = 32;
    std::string table(256 * RANKS, '\xff');
    for (size_t destination = 0; destination <= satellites; destination++)
        for (size_t rank = 0; rank <= destination; rank++)
            table[destination * RANKS + rank] = rank < destination ? 1 : 0;
    return table;
}

// Without a table the core device takes its satellites for a star. A table that a user wrote stays; one of ours, for a
// chain of another length, does not.
static void set_routes(Storage &storage, const Options &options) {
    std::string present = storage.get("routing_table");
    bool ours = present.empty();
    for (size_t n = 1; n <= MAX_SATELLITES; n++) ours = ours || present == chain_routing_table(n);
    std::string wanted = options.chain ? chain_routing_table(options.satellites) : "";
    if (ours && present != wanted) storage.put("routing_table", wanted);
}

Tree::Tree(const Options &options, Network &network) {
    firmware_ = read_image(options.firmware, MAIN_RAM_BASE, MAIN_RAM_SIZE);
    if (options.satellites) satellite_firmware_ = read_image(options.satellite_firmware, MAIN_RAM_BASE, MAIN_RAM_SIZE);
    try {
        for (size_t n = 0; n <= options.satellites; n++) add(options, n, n ? nullptr : &network);
    } catch (...) {
        // The program ends now. Destroying Verilator's models while an exception passes can block for ever.
        for (auto &node : nodes_) (void)node.release();
        throw;
    }
    for (size_t n = 1; n < threads_for(options, nodes_.size()); n++) threads_.emplace_back([this] { follow(); });
}

Tree::~Tree() {
    ending_ = true;
    until_++;
    until_.notify_all();
    for (std::thread &thread : threads_) thread.join();
}

void Tree::add(const Options &options, size_t number, Network *network) {
    const char *variant = number ? "sim-satellite" : options.satellites ? "sim-master" : "sim";
    auto made = models().find(variant);
    if (made == models().end()) throw std::runtime_error(std::string("this program has no model ") + variant);
    if (number && !options.chain && number > nodes_[0]->board->downstream_ports())
        throw std::runtime_error("the core device has ports for " +
                                 std::to_string(nodes_[0]->board->downstream_ports()) +
                                 " satellites; with --chain each has its own behind it");
    auto node = std::make_unique<Node>();
    node->storage.reset(new Storage(numbered(options.storage, number)));
    if (!number && options.satellites) set_routes(*node->storage, options);
    Setup setup{
        static_cast<unsigned>(number), number ? satellite_firmware_ : firmware_, network, *node->storage,
        numbered(options.uart, number), numbered(options.vcd, number), numbered(options.marks, number),
        options.board_id.value_or(hash(options.address)), options.seed,
        options.vcd_start, options.vcd_cycles, options.verbose};
    if (number) {
        setup.board_id = hash(std::to_string(setup.board_id) + "." + std::to_string(number));
        if (setup.seed) *setup.seed = hash(std::to_string(*setup.seed) + "." + std::to_string(number));
    }
    node->board = made->second(setup);
    if (number) {
        node->before = options.chain ? number - 1 : 0;
        Node &before = *nodes_[node->before];
        size_t port = options.chain ? 0 : number - 1;
        uint64_t seed = options.seed ? *options.seed : std::random_device()();
        for (Direction direction : {DOWN, UP}) {
            auto &pipe = node->pipes[direction];
            pipe.reset(new Pipe(hash(std::to_string(seed) + (direction == UP ? " up " : " down ") +
                                     std::to_string(number))));
            pipe->corrupt(options.link_corrupt);
            pipe->drop(options.link_drop);
        }
        before.board->connect(port, *node->pipes[DOWN], *node->pipes[UP]);
        node->board->connect(node->board->downstream_ports(), *node->pipes[UP], *node->pipes[DOWN]);
        before.neighbours.push_back(node.get());
        node->neighbours.push_back(&before);
    }
    nodes_.push_back(std::move(node));
}

// Runs a board for a block if there is one that may: its neighbours have done all that it has, so what they sent has
// come. `finished`: all boards are where they shall be.
bool Tree::run_one(uint64_t until, bool &finished) {
    finished = true;
    for (auto &node : nodes_) {
        uint64_t done = node->done.load(std::memory_order_acquire);
        if (done >= until) continue;
        finished = false;
        auto behind = [done](const Node *other) { return other->done.load(std::memory_order_acquire) < done; };
        if (node->taken.load(std::memory_order_relaxed)) continue;
        if (std::any_of(node->neighbours.begin(), node->neighbours.end(), behind)) continue;
        if (node->taken.exchange(true, std::memory_order_acquire)) continue;
        // Another thread may have run it meanwhile; then it is looked at again.
        bool ours = node->done.load(std::memory_order_acquire) == done;
        if (ours) {
            uint64_t count = std::min<uint64_t>(until - done, Pipe::LATENCY);
            node->board->run(count);
            node->done.store(done + count, std::memory_order_release);
        }
        node->taken.store(false, std::memory_order_release);
        if (ours) return true;
    }
    return false;
}

static inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Spinning goes on for about a block's time, so that nobody who needs the processor waits long for it.
constexpr unsigned SPINS = 500;

void Tree::work(uint64_t until) {
    unsigned idle = 0;
    for (bool finished = false; !finished;) {
        if (run_one(until, finished))
            idle = 0;
        else if (++idle < SPINS)
            pause();
        else
            std::this_thread::yield();
    }
}

// What every thread but the first does.
void Tree::follow() {
    for (uint64_t seen = 0; !ending_;) {
        uint64_t until = until_.load(std::memory_order_acquire);
        for (unsigned idle = 0; until == seen && idle < SPINS; idle++) {
            pause();
            until = until_.load(std::memory_order_acquire);
        }
        if (until == seen) {
            until_.wait(seen, std::memory_order_acquire);
            continue;
        }
        if (!ending_) work(until);
        seen = until;
    }
}

void Tree::run(uint64_t count) {
    if (nodes_.size() == 1) return nodes_.front()->board->run(count);
    uint64_t until = cycles() + count;
    until_.store(until, std::memory_order_release);
    if (!threads_.empty()) until_.notify_all();
    work(until);
    // A thread that saw the last board at its end may still be looking at the others, but changes nothing any more.
}

void Tree::flush() {
    for (auto &node : nodes_) node->board->flush();
}

}  // namespace corelog
