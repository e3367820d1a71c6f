#include "commands.h"

#include <cstdlib>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace corelog {

using Words = std::vector<std::string>;

static const char *name(bool value) { return value ? "true" : "false"; }

// JSON, so that programs need no parser of their own.
static std::string boards(Tree &tree) {
    std::ostringstream out;
    for (size_t n = 0; n < tree.size(); n++) {
        Board &board = tree.board(n);
        out << (n ? ", " : "[") << "{\"board\": " << n << ", \"on\": " << name(board.on()) << ", \"ready\": "
            << name(board.ready()) << ", \"resets\": " << board.resets() << "}";
    }
    return out.str() + "]";
}

static std::string links(Tree &tree) {
    std::ostringstream out;
    out << "[";
    for (size_t n = 1; n < tree.size(); n++)
        for (Tree::Direction direction : {Tree::DOWN, Tree::UP}) {
            Pipe &pipe = tree.pipe(n, direction);
            bool up = direction == Tree::UP;
            out << (n > 1 || up ? ", " : "") << "{\"link\": " << n << ", \"direction\": \"" << (up ? "up" : "down")
                << "\", \"from\": " << (up ? n : tree.before(n)) << ", \"to\": " << (up ? tree.before(n) : n)
                << ", \"cut\": " << name(pipe.is_cut()) << ", \"receiving\": " << name(pipe.is_up())
                << ", \"corrupt\": " << pipe.corrupt_rate() << ", \"drop\": " << pipe.drop_rate()
                << ", \"words\": " << pipe.words() << ", \"aux\": " << pipe.aux()
                << ", \"corrupted\": " << pipe.corrupted() << ", \"dropped\": " << pipe.dropped() << "}";
        }
    return out.str() + "]";
}

// A number from `first` to `last`, or std::invalid_argument that says so.
static size_t number(const std::string &text, size_t first, size_t last, const char *what) {
    char *end = nullptr;
    unsigned long value = strtoul(text.c_str(), &end, 10);
    bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos && text.size() < 10;
    if (!digits || *end || value < first || value > last)
        throw std::invalid_argument(std::string("there are ") + what + " " + std::to_string(first) + " to " +
                                    std::to_string(last));
    return value;
}

static double rate(const std::string &text) {
    char *end = nullptr;
    double value = strtod(text.c_str(), &end);
    if (text.empty() || *end || !(value >= 0 && value <= 1)) throw std::invalid_argument("a rate is between 0 and 1");
    return value;
}

static const char LINK[] = "say: link N|all [up|down] cut|restore|corrupt RATE|drop RATE";

static void link(Tree &tree, const Words &words) {
    if (tree.size() == 1) throw std::invalid_argument("there are no links without --satellites");
    size_t at = 1;
    auto next = [&] {
        if (at == words.size()) throw std::invalid_argument(LINK);
        return words[at++];
    };
    std::string which = next();
    size_t first = 1, last = tree.size() - 1;
    if (which != "all") first = last = number(which, first, last, "links");
    std::vector<Tree::Direction> directions{Tree::DOWN, Tree::UP};
    std::string what = next();
    if (what == "up" || what == "down") {
        directions = {what == "up" ? Tree::UP : Tree::DOWN};
        what = next();
    }
    std::function<void(Pipe &)> action;
    if (what == "cut" || what == "restore") action = [=](Pipe &pipe) { pipe.cut(what == "cut"); };
    if (what == "corrupt") action = [value = rate(next())](Pipe &pipe) { pipe.corrupt(value); };
    if (what == "drop") action = [value = rate(next())](Pipe &pipe) { pipe.drop(value); };
    if (!action || at != words.size()) throw std::invalid_argument(LINK);
    for (size_t n = first; n <= last; n++)
        for (Tree::Direction direction : directions) action(tree.pipe(n, direction));
}

static void board(Tree &tree, const Words &words) {
    if (words.size() != 3) throw std::invalid_argument("say: board N reset|off|on");
    Board &board = tree.board(number(words[1], 0, tree.size() - 1, "boards"));
    if (words[2] == "reset") {
        if (!board.on()) throw std::invalid_argument("the board is off; say: board N on");
        board.press_reset();
    } else if (words[2] == "off" || words[2] == "on") {
        if (board.traced()) throw std::invalid_argument("a board that writes a waveform file cannot be switched off");
        words[2] == "off" ? board.switch_off() : board.switch_on();
    } else {
        throw std::invalid_argument("say: board N reset|off|on");
    }
}

std::string execute(Tree &tree, const std::string &line) {
    std::istringstream text(line);
    Words words;
    for (std::string word; text >> word;) words.push_back(word);
    std::string command = words.empty() ? "" : words[0];
    try {
        if (command == "boards" && words.size() == 1) return "ok " + boards(tree);
        if (command == "links" && words.size() == 1) return "ok " + links(tree);
        if (command != "link" && command != "board")
            throw std::invalid_argument("say: boards, links, link ... or board ...");
        command == "link" ? link(tree, words) : board(tree, words);
        return "ok from cycle " + std::to_string(tree.cycles());
    } catch (const std::invalid_argument &error) {
        return std::string("error: ") + error.what();
    }
}

}  // namespace corelog
