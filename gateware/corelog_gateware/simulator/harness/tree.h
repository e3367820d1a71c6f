// The boards of one process and the links between them, run by one or more threads.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "board.h"
#include "image.h"
#include "link.h"
#include "options.h"
#include "storage.h"

namespace corelog {

// Board 0 is the core device, board n satellite n. Link n leads from satellite n to the board before it: the core
// device's port n - 1 in a star, the first port of satellite n - 1 (of the core device) in a chain.
class Tree {
public:
    enum Direction { DOWN, UP };

    // Throws std::runtime_error for files that cannot be used and for more satellites than there are ports.
    Tree(const Options &options, Network &network);
    ~Tree();

    // Let `count` cycles pass. Without satellites any number; else this is called for multiples of Pipe::LATENCY, but
    // for the last time. What happens on the boards does not depend on the threads.
    void run(uint64_t count);
    void flush();

    uint64_t cycles() const { return nodes_.front()->board->cycles(); }
    size_t size() const { return nodes_.size(); }
    Board &board(size_t number) { return *nodes_[number]->board; }
    // The pipe of link `number` (from 1) in one direction.
    Pipe &pipe(size_t number, Direction direction) { return *nodes_[number]->pipes[direction]; }
    // The board before satellite `number`.
    size_t before(size_t number) const { return nodes_[number]->before; }

private:
    struct Node {
        std::unique_ptr<Storage> storage;
        std::unique_ptr<Board> board;
        size_t before = 0;
        std::unique_ptr<Pipe> pipes[2];  // of the link to the board before
        std::vector<Node *> neighbours;
        // A thread holds the board while it runs a block; `done`: cycles that it has run.
        std::atomic<bool> taken{false};
        alignas(64) std::atomic<uint64_t> done{0};
    };

    void add(const Options &options, size_t number, Network *network);
    void work(uint64_t until);
    bool run_one(uint64_t until, bool &finished);
    void follow();

    std::vector<Segment> firmware_, satellite_firmware_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<std::thread> threads_;
    std::atomic<uint64_t> until_{0};  // the threads run the boards up to this cycle
    std::atomic<bool> ending_{false};
};

}  // namespace corelog
