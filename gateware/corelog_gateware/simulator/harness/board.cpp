// Compiled once for every model, with MODEL its class (Vname), VARIANT its name and the headers of its build.
#include "board.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "corelog_soc.h"
#include "marks.h"
#include "network.h"
#include "storage.h"
#include "verilated.h"
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define ROOT JOIN(MODEL, ___024root)
#define ROOT_EVAL JOIN(MODEL, ___024root___eval)
#include TEXT(MODEL.h)
#include TEXT(JOIN(MODEL, ___024root.h))
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

void ROOT_EVAL(ROOT *);

namespace corelog {
namespace {

// Cycles between two frames to the board, for the MAC to file the first away before rx_room is looked at again.
constexpr unsigned RX_GAP = 8;

// A template so that what stands behind `if constexpr` need not be there: models differ in their pads.
template <class Soc>
class Model final : public Board {
public:
    explicit Model(const Setup &setup)
        : setup_(setup), marks_(setup.marks), random_(setup.seed.value_or(0)),
          vcd_left_(setup.vcd_cycles) {
        if (!setup.uart.empty()) {
            uart_ = fopen(setup.uart.c_str(), "we");
            if (!uart_) throw std::runtime_error("UART file " + setup.uart + ": " + strerror(errno));
        }
        power_up();
    }

    ~Model() override {
#if VM_TRACE
        if (waveform_) waveform_->close();
        delete waveform_;
#endif
        if (soc_) soc_->final();
        if (uart_) fclose(uart_);
        // The program ends now. Destroying one of several models can block for ever on Verilator's locks.
        (void)soc_.release();
        (void)context_.release();
    }

    void connect(unsigned port, Pipe &out, const Pipe &in) override {
        connections_.push_back({port, &out, &in, nullptr, nullptr});
        find_pads(*soc_);
    }

    void run(uint64_t count) override;
    void flush() override;
    void press_reset() override { pressed_ = on_; }
    void switch_off() override;
    void switch_on() override;

    unsigned downstream_ports() const override { return PORTS; }
    bool traced() const override { return !setup_.vcd.empty(); }

private:
    struct Connection {
        unsigned port;
        Pipe *out;
        const Pipe *in;
        const IData *tx;
        IData *rx;
    };

    void power_up();
    void find_pads(Soc &soc);
    void load();
    void evaluate();
    void watch_reset();
    void watch_pads();
    void send_word_to_board();
    void receive_word_from_board();
    uint32_t random_word();
    void open_waveform();
    void trace(int half);

    const Setup setup_;
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Soc> soc_;
    VerilatedVcdC *waveform_ = nullptr;
    Marks marks_;
    FILE *uart_ = nullptr;
    bool uart_written_ = false;
    std::vector<Connection> connections_;

    bool in_reset_ = true;
    bool pressed_ = false;  // the button, in the next cycle
    bool by_button_ = false;
    uint8_t ttl_ = 0;

    const std::vector<uint8_t> *incoming_ = nullptr;  // frame on its way to the board
    size_t incoming_at_ = 0;
    unsigned gap_ = 0;
    std::vector<uint8_t> outgoing_;
    uint64_t outgoing_since_ = 0;

    Random random_;
    uint64_t vcd_left_;
};

template <class Soc>
void Model<Soc>::power_up() {
    soc_.reset();
    context_.reset(new VerilatedContext);
    if (!setup_.vcd.empty()) context_->traceEverOn(true);
    soc_.reset(new Soc(context_.get()));
    if (!setup_.vcd.empty()) open_waveform();
    soc_->identity_board_id = setup_.board_id;
    soc_->identity_entropy = random_word();
    soc_->storage_data = setup_.storage.read(0);
    // The first evaluation runs the initial blocks; only then is the memory ours to fill.
    soc_->clk = 0;
    soc_->eval();
    load();
    in_reset_ = true;
    ready_ = false;
    ttl_ = 0;
    find_pads(*soc_);
}

template <class Soc>
void Model<Soc>::find_pads(Soc &soc) {
    for (Connection &c : connections_) {
        auto found = [&](const IData &tx, IData &rx) { c.tx = &tx, c.rx = &rx; };
        if constexpr (PORTS > 0) if (c.port == 0) found(soc.link0_tx, soc.link0_rx);
        if constexpr (PORTS > 1) if (c.port == 1) found(soc.link1_tx, soc.link1_rx);
        if constexpr (PORTS > 2) if (c.port == 2) found(soc.link2_tx, soc.link2_rx);
        if constexpr (PORTS > 3) if (c.port == 3) found(soc.link3_tx, soc.link3_rx);
        if constexpr (UPLINKS > 0) if (c.port == PORTS) found(soc.uplink_tx, soc.uplink_rx);
        static_assert(PORTS <= 4);
        if (!c.tx) throw std::logic_error("no port " + std::to_string(c.port));
    }
}

template <class Soc>
void Model<Soc>::switch_off() {
    if (!on_) return;
    on_ = false;
    soc_->final();
    soc_.reset();
    ready_ = pressed_ = false;
    incoming_ = nullptr;
    outgoing_.clear();
    if (setup_.network) setup_.network->board_reset();
    marks_.put("off", cycle_);
    if (setup_.verbose) fprintf(stderr, "%s: off at cycle %" PRIu64 "\n", setup_.name().c_str(), cycle_);
}

template <class Soc>
void Model<Soc>::switch_on() {
    if (on_) return;
    on_ = true;
    power_up();
    marks_.put("on", cycle_);
    if (setup_.verbose) fprintf(stderr, "%s: on at cycle %" PRIu64 "\n", setup_.name().c_str(), cycle_);
}

template <class Soc>
void Model<Soc>::load() {
    auto &ram = soc_->rootp->corelog_sim__DOT__main_ram;
    for (const Segment &segment : setup_.firmware) {
        uint32_t offset = segment.address - MAIN_RAM_BASE;
        for (size_t i = 0; i < segment.bytes.size(); i++, offset++) {
            unsigned shift = 8 * (offset & 3);
            uint32_t &word = ram[offset >> 2];
            word = (word & ~(0xffu << shift)) | uint32_t(segment.bytes[i]) << shift;
        }
    }
}

template <class Soc>
uint32_t Model<Soc>::random_word() {
    if (setup_.seed) return static_cast<uint32_t>(random_.next());
    uint32_t word;
    if (getrandom(&word, sizeof word, 0) != sizeof word) throw std::runtime_error("no randomness from the system");
    return word;
}

template <class Soc>
void Model<Soc>::watch_reset() {
    in_reset_ = soc_->reset_active;
    if (!in_reset_) return;
    // Main RAM keeps its contents; what the image initialises is as fresh as after power-on.
    unsigned cause = soc_->reset_cause;
    load();
    ready_ = false;
    resets_++;
    incoming_ = nullptr;
    if constexpr (ETHERNET) soc_->eth_rx_valid = 0;
    outgoing_.clear();
    if (setup_.network) setup_.network->board_reset();
    marks_.put("reset", cycle_, cause);
    if (setup_.verbose)
        fprintf(stderr, "%s: reset by the %s at cycle %" PRIu64 "\n", setup_.name().c_str(),
                cause == WATCHDOG ? "watchdog" : by_button_ ? "button" : "firmware", cycle_);
    by_button_ = false;
}

template <class Soc>
void Model<Soc>::send_word_to_board() {
    if constexpr (ETHERNET) {
        Network &network = *setup_.network;
        if (!incoming_) {
            soc_->eth_rx_valid = 0;
            if (gap_) {
                gap_--;
                return;
            }
            if (in_reset_ || !soc_->eth_rx_room || !(incoming_ = network.front())) return;
            incoming_at_ = 0;
        }
        size_t count = std::min<size_t>(4, incoming_->size() - incoming_at_);
        uint32_t word = 0;
        for (size_t i = 0; i < count; i++) word |= uint32_t((*incoming_)[incoming_at_++]) << 8 * i;
        bool last = incoming_at_ == incoming_->size();
        soc_->eth_rx_valid = 1;
        soc_->eth_rx_last = last;
        soc_->eth_rx_last_be = last ? 1 << (count - 1) : 0;
        soc_->eth_rx_data = word;
        if (last) {
            incoming_ = nullptr;
            network.pop();
            gap_ = RX_GAP;
        }
    }
}

template <class Soc>
void Model<Soc>::receive_word_from_board() {
    if constexpr (ETHERNET) {
        if (outgoing_.empty()) outgoing_since_ = cycle_;
        // A MAC gone wild must not fill the memory; the network counts the frame as malformed.
        for (unsigned i = 0; i < 4 && outgoing_.size() <= Network::MAX_FRAME; i++) {
            outgoing_.push_back(static_cast<uint8_t>(soc_->eth_tx_data >> 8 * i));
            if (soc_->eth_tx_last && soc_->eth_tx_last_be >> i & 1) break;
        }
        if (!soc_->eth_tx_last) return;
        marks_.put("frame", outgoing_since_, outgoing_.size());
        setup_.network->from_board(outgoing_);
        outgoing_.clear();
    }
}

template <class Soc>
void Model<Soc>::watch_pads() {
    if constexpr (ETHERNET)
        if (soc_->eth_tx_valid) receive_word_from_board();
    if (soc_->serial_tx_valid && uart_) {
        putc(soc_->serial_tx_data, uart_);
        uart_written_ = true;
    }
    if (soc_->rtio_error) marks_.put("error", cycle_);
    if (soc_->ttl != ttl_) marks_.put("ttl", cycle_, ttl_ = soc_->ttl);
    if (soc_->identity_marked) marks_.put("mark", cycle_, soc_->identity_mark);
    if (soc_->identity_entropy_taken) soc_->identity_entropy = random_word();
    if (soc_->identity_ready != ready_ && !in_reset_) {
        ready_ = soc_->identity_ready;
        if (ready_) {
            marks_.put("ready", cycle_);
            if (setup_.network) setup_.network->board_ready();
        }
    }
    if (soc_->storage_program) setup_.storage.program(soc_->storage_address, soc_->storage_value);
    if (soc_->storage_erase) setup_.storage.erase();
    soc_->storage_data = setup_.storage.read(soc_->storage_address);
}

// What eval() comes down to after its first call in a program without assertions and messages: the rest of it, mostly
// locks, would take a twentieth of the time.
#if VM_TRACE
// With waveforms it also notes that something may have changed.
template <class Soc>
void Model<Soc>::evaluate() { soc_->eval(); }
#else
template <class Soc>
void Model<Soc>::evaluate() { ROOT_EVAL(soc_->rootp); }
#endif

template <class Soc>
void Model<Soc>::run(uint64_t count) {
    const uint64_t first = cycle_ - cycle_ % Pipe::LATENCY;
    if (on_) {
        if (pressed_) {
            soc_->reset_button = 1;
            by_button_ = true;
        }
        for (; count; count--) {
            send_word_to_board();
            if constexpr (PORTS + UPLINKS > 0)
                for (const Connection &c : connections_) *c.rx = c.in->received(first)[cycle_ - first];
            soc_->clk = 1;
            evaluate();
            if constexpr (PORTS + UPLINKS > 0)
                for (const Connection &c : connections_) c.out->sent(first)[cycle_ - first] = *c.tx;
            cycle_++;
            if (soc_->reset_active != in_reset_) watch_reset();
            watch_pads();
            if (waveform_) trace(0);
            soc_->clk = 0;
            evaluate();
            if (waveform_) trace(1);
            if (pressed_) soc_->reset_button = pressed_ = false;
        }
    } else {
        for (const Connection &c : connections_) std::fill_n(c.out->sent(first), Pipe::LATENCY, 0);
        cycle_ += count;
    }
    for (const Connection &c : connections_) c.out->transmit(first);
}

template <class Soc>
void Model<Soc>::flush() {
    if (uart_written_) fflush(uart_);
    uart_written_ = false;
    marks_.flush();
}

#if VM_TRACE

template <class Soc>
void Model<Soc>::open_waveform() {
    waveform_ = new VerilatedVcdC;
    soc_->trace(waveform_, 99);
    waveform_->set_time_unit("1ns");
    waveform_->set_time_resolution("1ns");
    waveform_->open(setup_.vcd.c_str());
    if (!waveform_->isOpen()) throw std::runtime_error("waveform file " + setup_.vcd + " cannot be written");
}

// `half`: 0 after the rising edge of the clock, 1 after the falling one.
template <class Soc>
void Model<Soc>::trace(int half) {
    if (cycle_ < setup_.vcd_start) return;
    constexpr uint64_t half_period_ns = 500'000'000 / CLOCK_FREQUENCY;
    waveform_->dump((2 * cycle_ + half) * half_period_ns);
    if (half == 0 || --vcd_left_) return;
    waveform_->close();
    delete waveform_;
    waveform_ = nullptr;
    fprintf(stderr, "%s: the waveform file is complete after cycle %" PRIu64 " (--vcd-cycles); the board runs on\n",
            setup_.name().c_str(), cycle_);
}

#else

template <class Soc>
void Model<Soc>::open_waveform() {
    throw std::runtime_error("this build of the board cannot write waveforms");
}

template <class Soc>
void Model<Soc>::trace(int) {}

#endif

const bool registered = [] {
    models()[VARIANT] = [](const Setup &setup) -> std::unique_ptr<Board> {
        return std::make_unique<Model<MODEL>>(setup);
    };
    return true;
}();

}  // namespace
}  // namespace corelog
