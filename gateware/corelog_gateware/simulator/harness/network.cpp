#include "network.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <stdexcept>

namespace corelog {

static constexpr uint32_t NETWORK = 0x0a000200, NETMASK = 0xffffff00;  // 10.0.2.0/24
static constexpr uint32_t HOST = NETWORK | 2, NAME_SERVER = NETWORK | 3, DEFAULT_GUEST = NETWORK | 15;
static constexpr int64_t PROBE_TIMEOUT_NS = 2'000'000'000;
static constexpr int BACKLOG = 128;  // libslirp asks for 1, too few for clients that connect together
static constexpr int SEND_BUFFER = 32 << 10;

static in_addr ip(uint32_t value) { return in_addr{htonl(value)}; }

static int64_t clock_ns(void *) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// libslirp asks for a timer only for IPv6 router advertisements, which are off.
static void *timer_new(SlirpTimerCb, void *, void *) { return nullptr; }
static void timer_free(void *, void *) {}
static void timer_mod(void *, int64_t, void *) {}
static void ignore_fd(int, void *) {}
static void ignore(void *) {}
static void guest_error(const char *message, void *) { fprintf(stderr, "network: %s\n", message); }

// libslirp does not say why it could not listen, so find out first.
static void check_free(const std::string &address, in_addr host, uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr = host;
    where.sin_port = htons(port);
    bool free = bind(fd, reinterpret_cast<sockaddr *>(&where), sizeof where) == 0 && listen(fd, 1) == 0;
    int error = errno;
    close(fd);
    if (free) return;
    if (error == EADDRINUSE)
        throw std::runtime_error("address " + address + " port " + std::to_string(port) +
                                 " is already in use: stop what uses it (another board?) or choose another --address");
    throw std::runtime_error("cannot listen on " + address + " port " + std::to_string(port) + ": " + strerror(error));
}

Network::Network(const std::string &address, bool verbose) : address_(address), verbose_(verbose) {
    if (inet_pton(AF_INET, address.c_str(), &host_) != 1 || ntohl(host_.s_addr) >> 24 != 127)
        throw std::runtime_error("address '" + address + "' is not an IPv4 loopback address such as 127.0.0.1");
    check_free(address, host_, MANAGEMENT_PORT);
    check_free(address, host_, SESSION_PORT);
    SlirpConfig config{};
    config.version = SLIRP_CONFIG_VERSION_MAX;
    config.restricted = 1;
    config.in_enabled = true;
    config.vnetwork = ip(NETWORK);
    config.vnetmask = ip(NETMASK);
    config.vhost = ip(HOST);
    config.vnameserver = ip(NAME_SERVER);
    config.vdhcp_start = ip(DEFAULT_GUEST);
    config.disable_dns = true;
    config.disable_dhcp = true;
    static const SlirpCb callbacks = [] {
        SlirpCb c{};
        c.send_packet = send_packet;
        c.guest_error = guest_error;
        c.clock_get_ns = clock_ns;
        c.timer_new = timer_new;
        c.timer_free = timer_free;
        c.timer_mod = timer_mod;
        c.register_poll_fd = ignore_fd;
        c.unregister_poll_fd = ignore_fd;
        c.notify = ignore;
        return c;
    }();
    slirp_ = slirp_new(&config, &callbacks, this);
    if (!slirp_) throw std::runtime_error("libslirp could not be started");
    forward(ip(DEFAULT_GUEST));
}

Network::~Network() { slirp_cleanup(slirp_); }

void Network::forward(in_addr guest) {
    for (uint16_t port : {MANAGEMENT_PORT, SESSION_PORT})
        if (slirp_add_hostfwd(slirp_, 0, host_, port, guest, port))
            throw std::runtime_error("cannot lead " + address_ + " port " + std::to_string(port) + " to the board");
    guest_ = guest;
    // libslirp keeps its sockets to itself; the listening ones of this process on our address are those two.
    listeners_.clear();
    for (int fd = 3; fd < 1024 && listeners_.size() < 2; fd++) {
        int listening = 0;
        socklen_t length = sizeof listening;
        sockaddr_in name{};
        socklen_t name_length = sizeof name;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) || !listening) continue;
        if (getsockname(fd, reinterpret_cast<sockaddr *>(&name), &name_length)) continue;
        if (name.sin_family != AF_INET || name.sin_addr.s_addr != host_.s_addr) continue;
        listen(fd, BACKLOG);
        // Of what is accepted there too: this host's buffers would hold 4 MB for a client that does not read.
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &SEND_BUFFER, sizeof SEND_BUFFER);
        listeners_.push_back(fd);
    }
}

void Network::unforward() {
    for (uint16_t port : {MANAGEMENT_PORT, SESSION_PORT}) slirp_remove_hostfwd(slirp_, 0, host_, port);
}

// Sum of 16-bit words in ones' complement, as IPv4 and ICMP use it.
static void put_checksum(uint8_t *data, size_t length, size_t at) {
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i += 2) sum += data[i] << 8 | data[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    data[at] = static_cast<uint8_t>(~sum >> 8);
    data[at + 1] = static_cast<uint8_t>(~sum);
}

// A ping to everyone: whatever address the board is configured to have, it shows in the answer, or in the question for
// our own address that comes before it.
void Network::send_probe() {
    static const uint8_t frame[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x55, 0x0a, 0x00, 0x02, 0x02, 0x08, 0x00,  // from libslirp's address
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 2, 2, 255, 255, 255, 255,           // IPv4, ICMP
        8, 0, 0, 0, 0, 0, 0, 0,                                                             // echo request
    };
    std::vector<uint8_t> probe(frame, frame + sizeof frame);
    put_checksum(&probe[14], 20, 10);
    put_checksum(&probe[34], 8, 2);
    send_packet(probe.data(), probe.size(), this);
    probed_ns_ = clock_ns(nullptr);
}

void Network::watch_probe() {
    if (!probed_ns_ || clock_ns(nullptr) - probed_ns_ < PROBE_TIMEOUT_NS) return;
    probe_answered();
    fprintf(stderr, "network: the board does not answer in 10.0.2.0/24; is its `ip` set to an address elsewhere?\n");
}

void Network::probe_answered() {
    if (!probed_ns_) return;
    probed_ns_ = 0;
    serving_ = true;
}

void Network::board_ready() { send_probe(); }

void Network::learn_address(const std::vector<uint8_t> &frame) {
    if (frame.size() < 42) return;
    uint16_t type = frame[12] << 8 | frame[13];
    size_t offset;
    if (type == 0x0806)
        offset = 28;  // ARP: sender's protocol address
    else if (type == 0x0800)
        offset = 26;  // IPv4: source
    else
        return;
    in_addr source;
    memcpy(&source, &frame[offset], sizeof source);
    uint32_t value = ntohl(source.s_addr);
    if (value == 0 || value == warned_) return;
    if (source.s_addr == guest_.s_addr) return probe_answered();
    if ((value & NETMASK) != NETWORK || value == HOST || value == NAME_SERVER || value == NETWORK ||
        value == (NETWORK | 255)) {
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &source, text, sizeof text);
        fprintf(stderr, "network: the board uses address %s and cannot be reached: its `ip` must be in 10.0.2.0/24 "
                        "(not .0, .2, .3, .255)\n", text);
        warned_ = value;
        return;
    }
    unforward();
    forward(source);
    probe_answered();
    if (verbose_) fprintf(stderr, "network: the board is 10.0.2.%u\n", value & 255);
}

void Network::from_board(const std::vector<uint8_t> &frame) {
    frames_out_++;
    if (frame.size() < MIN_FRAME || frame.size() > MAX_FRAME) {
        malformed_++;
        return;
    }
    learn_address(frame);
    slirp_input(slirp_, frame.data(), static_cast<int>(frame.size()));
}

ssize_t Network::send_packet(const void *data, size_t length, void *self) {
    auto &network = *static_cast<Network *>(self);
    if (length > MAX_FRAME || network.queue_.size() >= QUEUE_FRAMES) {
        network.dropped_++;
        return length;
    }
    auto bytes = static_cast<const uint8_t *>(data);
    std::vector<uint8_t> frame(bytes, bytes + length);
    if (length < MIN_FRAME) frame.resize(MIN_FRAME);
    network.queue_.push_back(std::move(frame));
    network.frames_in_++;
    return length;
}

void Network::board_reset() {
    dropped_ += queue_.size();
    queue_.clear();
    serving_ = false;
    probed_ns_ = 0;
}

int Network::add_poll(int fd, int events, void *self) {
    auto &network = *static_cast<Network *>(self);
    short wanted = 0;
    if (events & SLIRP_POLL_IN) wanted |= POLLIN;
    if (events & SLIRP_POLL_OUT) wanted |= POLLOUT;
    if (events & SLIRP_POLL_PRI) wanted |= POLLPRI;
    const auto &listeners = network.listeners_;
    if (!network.serving_ && std::find(listeners.begin(), listeners.end(), fd) != listeners.end()) wanted = 0;
    network.fds_.push_back({fd, wanted, 0});
    return static_cast<int>(network.fds_.size() - 1);
}

int Network::revents(int index, void *self) {
    short seen = static_cast<Network *>(self)->fds_[index].revents;
    int events = 0;
    if (seen & POLLIN) events |= SLIRP_POLL_IN;
    if (seen & POLLOUT) events |= SLIRP_POLL_OUT;
    if (seen & POLLPRI) events |= SLIRP_POLL_PRI;
    if (seen & POLLERR) events |= SLIRP_POLL_ERR;
    if (seen & POLLHUP) events |= SLIRP_POLL_HUP;
    return events;
}

void Network::poll(const timespec &timeout) {
    fds_.clear();
    // it is called every few hundred microseconds, sooner than any of its timers
    uint32_t slirp_timeout_ms = UINT32_MAX;
    slirp_pollfds_fill(slirp_, &slirp_timeout_ms, add_poll, this);
    int ready = ppoll(fds_.data(), fds_.size(), &timeout, nullptr);
    slirp_pollfds_poll(slirp_, ready < 0, revents, this);
    watch_probe();
}

}  // namespace corelog
