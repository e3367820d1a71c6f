#include "board.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "Vcorelog.h"
#include "Vcorelog___024root.h"
#include "corelog_soc.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

void Vcorelog___024root___eval(Vcorelog___024root *);

namespace corelog {

// Cycles between two frames to the board, for the MAC to file the first away before rx_room is looked at again.
static constexpr unsigned RX_GAP = 8;

// The same for the same address in every run (64-bit FNV-1a), so that host programs recognise the board.
static uint64_t id_of(const std::string &address) {
    uint64_t hash = 0xcbf29ce484222325;
    for (unsigned char c : address) hash = (hash ^ c) * 0x100000001b3;
    return hash;
}

Board::Board(const Options &options, const std::vector<Segment> &firmware, Storage &storage, Network &network)
    : context_(new VerilatedContext), firmware_(firmware), storage_(storage), network_(network), marks_(options.marks),
      verbose_(options.verbose), seeded_(options.seed.has_value()), seed_(options.seed.value_or(0)),
      vcd_start_(options.vcd_start), vcd_left_(options.vcd_cycles) {
    if (!options.uart.empty()) {
        uart_ = fopen(options.uart.c_str(), "we");
        if (!uart_) throw std::runtime_error("UART file " + options.uart + ": " + strerror(errno));
    }
    if (!options.vcd.empty()) context_->traceEverOn(true);
    soc_.reset(new Vcorelog(context_.get()));
    open_waveform(options);
    soc_->identity_board_id = options.board_id.value_or(id_of(options.address));
    soc_->identity_entropy = random_word();
    soc_->storage_data = storage_.read(0);
    // The first evaluation runs the initial blocks; only then is the memory ours to fill.
    soc_->clk = 0;
    soc_->eval();
    load();
}

Board::~Board() {
#if VM_TRACE
    if (waveform_) waveform_->close();
    delete waveform_;
#endif
    soc_->final();
    if (uart_) fclose(uart_);
}

void Board::load() {
    auto &ram = soc_->rootp->corelog_sim__DOT__main_ram;
    for (const Segment &segment : firmware_) {
        uint32_t offset = segment.address - MAIN_RAM_BASE;
        for (size_t i = 0; i < segment.bytes.size(); i++, offset++) {
            unsigned shift = 8 * (offset & 3);
            uint32_t &word = ram[offset >> 2];
            word = (word & ~(0xffu << shift)) | uint32_t(segment.bytes[i]) << shift;
        }
    }
}

uint32_t Board::random_word() {
    if (seeded_) {  // SplitMix64
        uint64_t z = seed_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return static_cast<uint32_t>(z ^ z >> 31);
    }
    uint32_t word;
    if (getrandom(&word, sizeof word, 0) != sizeof word) throw std::runtime_error("no randomness from the system");
    return word;
}

void Board::watch_reset() {
    in_reset_ = soc_->reset_active;
    if (!in_reset_) return;
    // Main RAM keeps its contents; what the image initialises is as fresh as after power-on.
    unsigned cause = soc_->reset_cause;
    load();
    ready_ = false;
    resets_++;
    incoming_ = nullptr;
    soc_->eth_rx_valid = 0;
    outgoing_.clear();
    network_.board_reset();
    marks_.put("reset", cycle_, cause);
    if (verbose_)
        fprintf(stderr, "board: reset by the %s at cycle %" PRIu64 "\n", cause == WATCHDOG ? "watchdog" : "firmware",
                cycle_);
}

void Board::send_word_to_board() {
    if (!incoming_) {
        soc_->eth_rx_valid = 0;
        if (gap_) {
            gap_--;
            return;
        }
        if (in_reset_ || !soc_->eth_rx_room || !(incoming_ = network_.front())) return;
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
        network_.pop();
        gap_ = RX_GAP;
    }
}

void Board::receive_word_from_board() {
    if (outgoing_.empty()) outgoing_since_ = cycle_;
    // A MAC gone wild must not fill the memory; the network counts the frame as malformed.
    for (unsigned i = 0; i < 4 && outgoing_.size() <= Network::MAX_FRAME; i++) {
        outgoing_.push_back(static_cast<uint8_t>(soc_->eth_tx_data >> 8 * i));
        if (soc_->eth_tx_last && soc_->eth_tx_last_be >> i & 1) break;
    }
    if (!soc_->eth_tx_last) return;
    marks_.put("frame", outgoing_since_, outgoing_.size());
    network_.from_board(outgoing_);
    outgoing_.clear();
}

void Board::watch_pads() {
    if (soc_->eth_tx_valid) receive_word_from_board();
    if (soc_->serial_tx_valid && uart_) {
        putc(soc_->serial_tx_data, uart_);
        uart_written_ = true;
    }
    if (soc_->rtio_error) marks_.put("error", cycle_);
    if (soc_->identity_marked) marks_.put("mark", cycle_, soc_->identity_mark);
    if (soc_->identity_entropy_taken) soc_->identity_entropy = random_word();
    if (soc_->identity_ready != ready_ && !in_reset_) {
        ready_ = soc_->identity_ready;
        if (ready_) {
            marks_.put("ready", cycle_);
            network_.board_ready();
        }
    }
    if (soc_->storage_program) storage_.program(soc_->storage_address, soc_->storage_value);
    if (soc_->storage_erase) storage_.erase();
    soc_->storage_data = storage_.read(soc_->storage_address);
}

// What Vcorelog::eval() comes down to after its first call in a program of one thread without assertions and messages:
// the rest of it, mostly locks, would take a twentieth of the time.
#if VM_TRACE
// With waveforms it also notes that something may have changed.
void Board::evaluate() { soc_->eval(); }
#else
void Board::evaluate() { Vcorelog___024root___eval(soc_->rootp); }
#endif

void Board::run(uint64_t count) {
    for (; count; count--) {
        send_word_to_board();
        soc_->clk = 1;
        evaluate();
        cycle_++;
        if (soc_->reset_active != in_reset_) watch_reset();
        watch_pads();
        if (waveform_) trace(0);
        soc_->clk = 0;
        evaluate();
        if (waveform_) trace(1);
    }
}

void Board::flush() {
    if (uart_written_) fflush(uart_);
    uart_written_ = false;
    marks_.flush();
}

#if VM_TRACE

void Board::open_waveform(const Options &options) {
    if (options.vcd.empty()) return;
    waveform_ = new VerilatedVcdC;
    soc_->trace(waveform_, 99);
    waveform_->set_time_unit("1ns");
    waveform_->set_time_resolution("1ns");
    waveform_->open(options.vcd.c_str());
    if (!waveform_->isOpen()) throw std::runtime_error("waveform file " + options.vcd + " cannot be written");
}

// `half`: 0 after the rising edge of the clock, 1 after the falling one.
void Board::trace(int half) {
    if (cycle_ < vcd_start_) return;
    constexpr uint64_t half_period_ns = 500'000'000 / CLOCK_FREQUENCY;
    waveform_->dump((2 * cycle_ + half) * half_period_ns);
    if (half == 0 || --vcd_left_) return;
    waveform_->close();
    delete waveform_;
    waveform_ = nullptr;
    fprintf(stderr, "board: the waveform file is complete after cycle %" PRIu64 " (--vcd-cycles); the board runs on\n",
            cycle_);
}

#else

void Board::open_waveform(const Options &options) {
    if (!options.vcd.empty()) throw std::runtime_error("this build of the board cannot write waveforms");
}

void Board::trace(int) {}

#endif

}  // namespace corelog
