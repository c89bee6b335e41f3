// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/command_hook.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "loader/log.h"

namespace tfo::alert {
namespace {

constexpr int kCannotRun = 127;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// Of this thread alone. Safe between fork() and execve().
bool drop_capabilities() {
  __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
         syscall(SYS_capset, &head, none) == 0;
}

/// Between fork() and execve() only what is safe in a process whose other threads are gone.
[[noreturn]] void become(const char* path, char* const* arguments, char* const* environment,
                         int input, int null) {
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);  // being ignored would be inherited
  const bool bound = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && drop_capabilities();
  const bool placed = chdir("/") == 0 && dup2(input, STDIN_FILENO) >= 0 &&
                      dup2(null, STDOUT_FILENO) >= 0 && syscall(SYS_close_range, 3U, ~0U, 0U) == 0;
  if (bound && placed) execve(path, arguments, environment);
  _exit(kCannotRun);
}

/// The reading end of a pipe that holds all of `text`, which is shorter than a pipe is deep.
Result<Fd> filled_pipe(const std::string& text) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("a pipe");
  Fd from(ends[0]);
  const Fd to(ends[1]);
  if (write(to.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return fail_errno("a pipe");
  }
  if (fcntl(from.get(), F_SETFL, 0) != 0) return fail_errno("a pipe");
  return from;
}

std::string end_text(const siginfo_t& info) {
  if (info.si_code != CLD_EXITED) return fmt::format("ended by signal {}", info.si_status);
  if (info.si_status == kCannotRun) return "exit code 127: it cannot be run";
  return fmt::format("exit code {}", info.si_status);
}

}  // namespace

CommandHook::CommandHook(EventLoop& loop, CommandConfig config)
    : loop_(loop), config_(std::move(config)) {}

Result<std::unique_ptr<CommandHook>> CommandHook::create(EventLoop& loop, CommandConfig config) {
  std::unique_ptr<CommandHook> made(new CommandHook(loop, std::move(config)));
  auto timer = loop.timer([hook = made.get()] {
    hook->late_ = true;
    hook->kill_it();
  });
  if (!timer) return tl::unexpected(timer.error());
  made->timer_ = std::move(*timer);
  return made;
}

CommandHook::~CommandHook() { kill_and_wait(); }

void CommandHook::kill_and_wait() {
  if (!busy()) return;
  kill_it();
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
  pid_ = 0;
}

void CommandHook::kill_it() const {
  if (!busy()) return;
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL);  // its session may not be made yet
}

void CommandHook::take(const Change& change) {
  if (change.what == Change::What::kEvidence) return;
  if (queue_.size() >= kMostQueued) {
    failed(fmt::format("too slow: {} of {} is left out", to_string(queue_.front().what),
                       queue_.front().alert.id()));
    queue_.pop_front();
  }
  queue_.push_back(change);
  start_next();
}

void CommandHook::start_next() {
  while (!busy() && !queue_.empty()) {
    const Change change = std::move(queue_.front());
    queue_.pop_front();
    if (auto started = start(change); !started) failed(started.error().message);
  }
}

void CommandHook::failed(const std::string& why) {
  ++failures_;
  log_warning("alert command {}: {}", config_.path, why);
}

Result<> CommandHook::start(const Change& change) {
  using nlohmann::json;
  const auto input =
      filled_pipe(change_json(change).dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  if (!input) return tl::unexpected(input.error());
  const Fd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!null) return fail_errno("/dev/null");
  std::vector<std::string> arguments = config_.arguments;
  arguments.insert(arguments.begin(), config_.path);
  std::vector<std::string> environment = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
      fmt::format("TFO_WHAT={}", to_string(change.what)), "TFO_ALERT=" + change.alert.id(),
      fmt::format("TFO_SEVERITY={}", to_string(change.alert.severity))};
  const auto argument_list = pointers(arguments);
  const auto environment_list = pointers(environment);
  const pid_t pid = fork();
  if (pid < 0) return fail_errno("cannot be started");
  if (pid == 0) {
    become(config_.path.c_str(), argument_list.data(), environment_list.data(), input->get(),
           null.get());
  }
  pid_ = pid;
  late_ = false;
  end_ = EventLoop::Source();
  process_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0U)));
  auto end = loop_.io(process_.get(), EPOLLIN, [this](uint32_t) { ended(); });
  if (!end) {
    kill_and_wait();
    return tl::unexpected(end.error());
  }
  end_ = std::move(*end);
  timer_.start(config_.timeout);
  return {};
}

void CommandHook::ended() {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
    return;
  }
  timer_.stop();
  pid_ = 0;
  if (late_) {
    failed(fmt::format("killed after {} s", config_.timeout.count()));
  } else if (info.si_code == CLD_EXITED && info.si_status == 0) {
    ++runs_;
  } else {
    failed(end_text(info));
  }
  // A source must not be replaced while it is called.
  loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    if (!busy()) end_ = EventLoop::Source();
    start_next();
  });
}

Result<> check_command(const std::string& path) {
  int error = 0;
  std::thread without([&] {  // the other threads keep their capabilities
    struct stat file{};
    const bool found = drop_capabilities() && stat(path.c_str(), &file) == 0;
    if (found && !S_ISREG(file.st_mode)) {
      error = S_ISDIR(file.st_mode) ? EISDIR : EACCES;
    } else if (!found || access(path.c_str(), X_OK) != 0) {
      error = errno;
    }
  });
  without.join();
  if (error == 0) return {};
  return fail(fmt::format("alerts.command.path: {} cannot be run without capabilities: {}", path,
                          std::strerror(error)));
}

}  // namespace tfo::alert
