#include "control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace corelog {

Control::Control(const std::string &path, Execute execute) : execute_(std::move(execute)) {
    if (path.empty()) return;
    auto fail = [&](const std::string &what) { return std::runtime_error("control socket " + path + ": " + what); };
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path)
        throw fail("the path is longer than " + std::to_string(sizeof name.sun_path - 1) + " bytes");
    memcpy(name.sun_path, path.c_str(), path.size());
    auto address = reinterpret_cast<const sockaddr *>(&name);
    struct stat status;
    if (lstat(path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) throw fail("is there already and is no socket");
        int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool used = connect(probe, address, sizeof name) == 0;
        close(probe);
        if (used) throw fail("is in use by another board");
        unlink(path.c_str());
    }
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // Only for the user whose board it is.
    mode_t mask = umask(0177);
    int bound = bind(listener_, address, sizeof name);
    int error = errno;
    umask(mask);
    if (bound || listen(listener_, MAX_CLIENTS)) {
        close(listener_);
        throw fail(strerror(bound ? error : errno));
    }
    path_ = path;
}

Control::~Control() {
    for (Client &client : clients_) close(client.fd);
    if (listener_ < 0) return;
    close(listener_);
    unlink(path_.c_str());
}

void Control::accept_clients() {
    for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
        if (clients_.size() < MAX_CLIENTS) {
            clients_.push_back({fd, "", "", false});
            continue;
        }
        static const char full[] = "error: too many clients\n";
        (void)!send(fd, full, sizeof full - 1, MSG_NOSIGNAL);
        close(fd);
    }
}

// Whether the client stays.
bool Control::serve(Client &client) {
    char bytes[4096];
    ssize_t got = client.closing ? -1 : recv(client.fd, bytes, sizeof bytes, 0);
    if (got == 0) client.closing = true;
    if (got < 0 && !client.closing && errno != EAGAIN && errno != EINTR) return false;
    if (got > 0) client.in.append(bytes, got);
    for (size_t end; !client.closing && (end = client.in.find('\n')) != std::string::npos;) {
        client.out += execute_(client.in.substr(0, end)) + "\n";
        client.in.erase(0, end + 1);
        if (client.out.size() > MAX_UNREAD) return false;
    }
    if (client.in.size() > MAX_LINE) {
        client.out += "error: the line is longer than " + std::to_string(MAX_LINE) + " bytes\n";
        client.closing = true;
        client.in.clear();
    }
    while (!client.out.empty()) {
        ssize_t sent = send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR;
        client.out.erase(0, sent);
    }
    return !client.closing;
}

void Control::poll() {
    if (listener_ < 0) return;
    std::vector<pollfd> fds{{listener_, POLLIN, 0}};
    for (const Client &client : clients_)
        fds.push_back({client.fd, static_cast<short>(client.out.empty() ? POLLIN : POLLIN | POLLOUT), 0});
    if (::poll(fds.data(), fds.size(), 0) <= 0) return;
    size_t at = 1;
    auto done = [&](Client &client) {
        if (!fds[at++].revents || serve(client)) return false;
        close(client.fd);
        return true;
    };
    clients_.erase(std::remove_if(clients_.begin(), clients_.end(), done), clients_.end());
    if (fds[0].revents) accept_clients();
}

}  // namespace corelog
