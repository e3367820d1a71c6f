// What can be done to a running tree by a line of text.
#pragma once
#include <string>

#include "tree.h"

namespace corelog {

// Executes one line (without its end), which may be anything, and gives the reply, one line: `ok ...` or `error: ...`.
// `corelog board --help` lists the commands.
std::string execute(Tree &tree, const std::string &line);

}  // namespace corelog
