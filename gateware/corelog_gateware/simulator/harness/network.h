// The board's network: libslirp in this process, with two ports of a loopback address led to the board. No privileges.
#pragma once
#include <netinet/in.h>
#include <poll.h>
#include <slirp/libslirp.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace corelog {

// The virtual network is 10.0.2.0/24 with this machine as 10.0.2.2. The board is 10.0.2.15 unless its frames say
// otherwise; it is made to send one when it is up. It can be reached through the forwarded ports and reach nothing by
// itself.
class Network {
public:
    static constexpr uint16_t MANAGEMENT_PORT = 1380, SESSION_PORT = 1381;
    static constexpr size_t QUEUE_FRAMES = 512;  // to the board; more are dropped and counted
    static constexpr size_t MAX_FRAME = 1514, MIN_FRAME = 60;

    // Throws std::runtime_error if `address` is no IPv4 loopback address or one of its ports is taken.
    Network(const std::string &address, bool verbose);
    ~Network();
    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;

    // A frame from the board (without checksum).
    void from_board(const std::vector<uint8_t> &frame);
    // Oldest frame for the board, padded to the minimum length; nullptr if there is none. Valid until pop().
    const std::vector<uint8_t> *front() const { return queue_.empty() ? nullptr : &queue_.front(); }
    void pop() { queue_.pop_front(); }
    // Frames that were on their way when the board was reset are gone.
    void board_reset();
    // The firmware is up; it is asked for its address now.
    void board_ready();
    // Connections are led to the board: it is up and its address is known. Until then they wait in the kernel's queue.
    bool serving() const { return serving_; }
    // Wait at most `timeout` for something to do and do it.
    void poll(const timespec &timeout);

    uint64_t dropped() const { return dropped_; }
    uint64_t malformed() const { return malformed_; }
    uint64_t frames_in() const { return frames_in_; }
    uint64_t frames_out() const { return frames_out_; }

private:
    static ssize_t send_packet(const void *data, size_t length, void *self);
    static int add_poll(int fd, int events, void *self);
    static int revents(int index, void *self);
    void send_probe();
    void probe_answered();
    void watch_probe();
    void learn_address(const std::vector<uint8_t> &frame);
    void forward(in_addr guest);
    void unforward();

    Slirp *slirp_ = nullptr;
    in_addr host_{};
    in_addr guest_{};
    std::string address_;
    std::vector<pollfd> fds_;
    std::vector<int> listeners_;
    std::deque<std::vector<uint8_t>> queue_;
    uint32_t warned_ = 0;
    int64_t probed_ns_ = 0;  // when the board was asked for its address; 0: not asked since, or answered
    bool serving_ = false;
    bool verbose_;
    uint64_t dropped_ = 0, malformed_ = 0, frames_in_ = 0, frames_out_ = 0;
};

}  // namespace corelog
