#include "storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace corelog {

// A complete file appears at once under its name, or not at all.
static bool create_erased(const std::string &path) {
    std::string temporary = path + ".new-" + std::to_string(getpid());
    int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    std::vector<uint8_t> erased(Storage::SIZE, 0xff);
    bool done = write(fd, erased.data(), erased.size()) == ssize_t(erased.size());
    done = close(fd) == 0 && done;
    // link, unlike rename, leaves a file that another board has created meanwhile.
    done = done && (link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST);
    int error = errno;
    unlink(temporary.c_str());
    errno = error;
    return done;
}

Storage::Storage(const std::string &path) {
    if (path.empty()) {
        void *memory = mmap(nullptr, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::runtime_error("no memory for the configuration store");
        bytes_ = static_cast<uint8_t *>(memory);
        erase();
        return;
    }
    auto fail = [&](const std::string &what) { return std::runtime_error("storage file " + path + ": " + what); };
    fd_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0 && errno == ENOENT && create_erased(path)) fd_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0) throw fail(strerror(errno));
    struct stat status;
    if (fstat(fd_, &status)) throw fail(strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size != SIZE)
        throw fail("is not a configuration store: it has " + std::to_string(status.st_size) + " bytes, not " +
                   std::to_string(SIZE));
    if (flock(fd_, LOCK_EX | LOCK_NB)) throw fail("is in use by another board");
    void *memory = mmap(nullptr, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (memory == MAP_FAILED) throw fail(strerror(errno));
    bytes_ = static_cast<uint8_t *>(memory);
}

Storage::~Storage() {
    munmap(bytes_, SIZE);
    if (fd_ >= 0) close(fd_);
}

// The last value of `key`, and where the records end; false if the store is damaged.
bool Storage::scan(const std::string &key, std::string &value, uint32_t &end) const {
    for (end = 0; end + 4 <= SIZE;) {
        const uint8_t *at = bytes_ + end;
        uint32_t size = uint32_t(at[0]) << 24 | at[1] << 16 | at[2] << 8 | at[3];
        if (size == UINT32_MAX) break;
        if (size < 5 || size > SIZE - end) return false;
        std::string record(reinterpret_cast<const char *>(at) + 4, size - 4);
        size_t nul = record.find('\0');
        if (nul == std::string::npos) return false;
        if (record.compare(0, nul, key) == 0) value = record.substr(nul + 1);
        end += size;
    }
    return true;
}

std::string Storage::get(const std::string &key) const {
    std::string value;
    uint32_t end;
    return scan(key, value, end) ? value : "";
}

void Storage::put(const std::string &key, const std::string &value) {
    std::string old;
    uint32_t at;
    if (!scan(key, old, at)) return;
    std::string record = key + std::string(1, '\0') + value;
    uint32_t size = static_cast<uint32_t>(4 + record.size());
    if (size > SIZE - at) throw std::runtime_error("the configuration store has no room for the key " + key);
    for (int shift = 24; shift >= 0; shift -= 8)
        program(static_cast<uint16_t>(at++), static_cast<uint8_t>(size >> shift));
    for (char c : record) program(static_cast<uint16_t>(at++), static_cast<uint8_t>(c));
}

void Storage::erase() { memset(bytes_, 0xff, SIZE); }

}  // namespace corelog
