// The configuration store's bytes: a file mapped into memory, so that a kill at any time loses nothing programmed.
#pragma once
#include <cstdint>
#include <string>

namespace corelog {

class Storage {
public:
    static constexpr uint32_t SIZE = 64 * 1024;

    // Maps `path`, or plain memory if it is empty. A file that is not there is created erased. Throws
    // std::runtime_error if the file has another size, is in use by another board or cannot be used.
    explicit Storage(const std::string &path);
    ~Storage();
    Storage(const Storage &) = delete;
    Storage &operator=(const Storage &) = delete;

    uint8_t read(uint16_t address) const { return bytes_[address]; }
    void program(uint16_t address, uint8_t value) { bytes_[address] &= value; }
    void erase();

    // Set configuration key `key` if the store has no value for it; the store's format is firmware/config/src/store.rs.
    // Throws std::runtime_error if there is no room. A damaged store is left as it is: the firmware says so.
    void set_default(const std::string &key, const std::string &value);

private:
    uint8_t *bytes_ = nullptr;
    int fd_ = -1;
};

}  // namespace corelog
