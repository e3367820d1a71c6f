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

    // Values of configuration keys, in the store's format (firmware/config/src/store.rs); empty: there is none. `put`
    // throws std::runtime_error if there is no room. In a damaged store nothing is found and nothing put: the firmware
    // says so.
    std::string get(const std::string &key) const;
    void put(const std::string &key, const std::string &value);

private:
    bool scan(const std::string &key, std::string &value, uint32_t &end) const;

    uint8_t *bytes_ = nullptr;
    int fd_ = -1;
};

}  // namespace corelog
