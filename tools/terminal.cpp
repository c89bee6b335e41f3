// SPDX-License-Identifier: BSD-2-Clause
#include "tools/terminal.h"

#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace tfo {
namespace {

constexpr std::string_view kEnter = "\033[?1049h\033[?25l\033[?7l\033[2J";
constexpr std::string_view kLeave = "\033[0m\033[?7h\033[?25h\033[?1049l";
constexpr std::array<int, 7> kHandled = {SIGINT,  SIGTERM,  SIGHUP, SIGQUIT,
                                         SIGTSTP, SIGWINCH, SIGPIPE};
constexpr std::array<int, 5> kDeadly = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// For the handler of what kills, which has nothing else.
termios saved{};
volatile sig_atomic_t taken = 0;

bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = write(STDOUT_FILENO, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    text.remove_prefix(static_cast<size_t>(done));
  }
  return true;
}

void give_back() {
  if (taken == 0) return;
  taken = 0;
  write_all(kLeave);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
}

/// SA_RESETHAND: returning would run into the same again, this time for good.
void on_deadly(int number) {
  give_back();
  raise(number);
}

void handle_deadly(bool ours) {
  for (const int number : kDeadly) {
    struct sigaction action{};
    if (ours) {
      action.sa_handler = on_deadly;
    } else {
      action.sa_handler = SIG_DFL;
    }
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    sigaction(number, &action, nullptr);
  }
}

sigset_t handled() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kHandled) sigaddset(&set, number);
  return set;
}

constexpr std::array<std::pair<std::string_view, const char*>, 10> kSequences = {{
    {"\033[A", "up"},
    {"\033[B", "down"},
    {"\033OA", "up"},
    {"\033OB", "down"},
    {"\033[C", ">"},
    {"\033[D", "<"},
    {"\033OC", ">"},
    {"\033OD", "<"},
    {"\033[5~", "pageup"},
    {"\033[6~", "pagedown"},
}};

/// Length of the escape sequence that `bytes` begins with; 0: it is not whole.
size_t sequence_length(std::string_view bytes) {
  if (bytes.size() < 2) return 0;
  if (bytes[1] == 'O') return bytes.size() < 3 ? 0 : 3;
  if (bytes[1] != '[') return 1;
  for (size_t i = 2; i < bytes.size(); ++i) {
    if (bytes[i] >= 0x40 && bytes[i] <= 0x7e) return i + 1;
  }
  return 0;
}

}  // namespace

std::vector<std::string> keys_of(std::string& bytes) {
  constexpr size_t kLongestKey = 16;
  std::vector<std::string> keys;
  while (!bytes.empty()) {
    size_t length = 1;
    if (bytes[0] == '\033') {
      length = sequence_length(bytes);
      if (length == 0 && bytes.size() < kLongestKey) break;
      const std::string_view text = std::string_view(bytes).substr(0, length);
      for (const auto& [sequence, name] : kSequences) {
        if (text == sequence) keys.emplace_back(name);
      }
      length = std::max<size_t>(length, 1);
    } else {
      keys.push_back(bytes[0] == '\t' ? "tab" : bytes.substr(0, 1));
    }
    bytes.erase(0, length);
  }
  return keys;
}

Result<> Terminal::usable() {
  constexpr const char* kInstead = "; for a file or a script use `tfoctl top --once`";
  if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0) {
    return fail(std::string("top needs a terminal") + kInstead);
  }
  const char* term = std::getenv("TERM");
  if (term == nullptr || *term == '\0' || std::string_view(term) == "dumb") {
    return fail(std::string("this terminal (TERM) cannot move its cursor") + kInstead);
  }
  return {};
}

Terminal::Terminal() {
  const char* plain = std::getenv("NO_COLOR");
  colours_ = plain == nullptr || *plain == '\0';
  const sigset_t set = handled();
  pthread_sigmask(SIG_BLOCK, &set, &before_);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  handle_deadly(true);
  enter();
}

Terminal::~Terminal() {
  leave();
  handle_deadly(false);
  if (signals_ >= 0) close(signals_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Terminal::enter() const {
  tcgetattr(STDIN_FILENO, &saved);
  termios raw = saved;
  // Signals of the keyboard stay: Ctrl-C and Ctrl-Z do what they do everywhere.
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  taken = 1;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  write_all(kEnter);
}

void Terminal::leave() { give_back(); }

void Terminal::stop_until_continued() const {
  leave();
  raise(SIGSTOP);
  enter();
}

TopSize Terminal::size() {
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0) {
    return {};
  }
  return {.columns = window.ws_col, .rows = window.ws_row};
}

bool Terminal::draw(const std::vector<Line>& lines) const {
  std::string text = "\033[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    // Erased before it is written: behind a full line the cursor still stands on its last column.
    text += "\033[K" + text_of_line(lines[i], colours_);
    if (i + 1 < lines.size()) text += "\r\n";
  }
  return write_all(text);
}

Terminal::Event Terminal::take_signal() {
  Event event = Event::kNone;
  signalfd_siginfo info{};
  while (read(signals_, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGTSTP) {
      stop_until_continued();
      event = Event::kResized;
    } else if (info.ssi_signo == SIGWINCH) {
      event = Event::kResized;
    } else {
      return Event::kStop;
    }
  }
  return event;
}

std::optional<std::vector<std::string>> Terminal::take_keys() {
  std::array<char, 256> bytes{};
  const ssize_t got = read(STDIN_FILENO, bytes.data(), bytes.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return std::vector<std::string>();
  if (got <= 0) return std::nullopt;
  pending_.append(bytes.data(), static_cast<size_t>(got));
  return keys_of(pending_);
}

}  // namespace tfo
