// The socket through which tests and people cause faults while the boards run.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace corelog {

// A Unix socket of lines of text, each answered by one line. What clients send may be anything.
class Control {
public:
    static constexpr size_t MAX_CLIENTS = 8;     // more are told so and closed
    static constexpr size_t MAX_LINE = 256;      // longer: told so and closed
    static constexpr size_t MAX_UNREAD = 65536;  // of a client that does not read its replies: closed

    using Execute = std::function<std::string(const std::string &line)>;

    // `path` empty: there is no socket. A socket left there by a program that is gone is replaced. Throws
    // std::runtime_error if it cannot be made.
    Control(const std::string &path, Execute execute);
    ~Control();
    Control(const Control &) = delete;
    Control &operator=(const Control &) = delete;

    // Executes what has come; does not wait.
    void poll();

private:
    struct Client {
        int fd;
        std::string in, out;
        bool closing;  // when `out` is sent
    };

    void accept_clients();
    bool serve(Client &client);

    std::string path_;
    Execute execute_;
    int listener_ = -1;
    std::vector<Client> clients_;
};

}  // namespace corelog
