#include "turnstile.hpp"

#include <stdexcept>
#include <utility>

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#endif

namespace shortlist::turnstile {

#if defined(__linux__)

namespace {

constexpr std::size_t kRead = 1 << 14;  // bytes; a request that fills it is not of the one form

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

Turnstile::Turnstile(std::string first_line, Answer answer)
    : first_line_(std::move(first_line)), answer_(std::move(answer)), poll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (poll_ < 0) fail("epoll_create1");
}

Turnstile::~Turnstile() { close(poll_); }

void Turnstile::add(int socket) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = socket;
  if (epoll_ctl(poll_, EPOLL_CTL_ADD, socket, &event) < 0) fail("epoll_ctl");
}

void Turnstile::remove(int socket) {
  epoll_ctl(poll_, EPOLL_CTL_DEL, socket, nullptr);  // one that was closed has left by itself
}

Turn Turnstile::turn(std::int64_t room, std::int64_t most, std::string_view headers) {
  Turn done;
  std::vector<epoll_event> events(static_cast<std::size_t>(most));
  std::string bytes(kRead, '\0'), answer;
  const int ready = epoll_wait(poll_, events.data(), static_cast<int>(most), 0);
  const auto hand = [&](int socket, std::string_view some, bool unsent) {
    remove(socket);
    done.handed.push_back({socket, std::string(some), unsent});
  };
  for (int i = 0; i < ready; ++i) {
    const int socket = events[static_cast<std::size_t>(i)].data.fd;
    const ssize_t got = recv(socket, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    const std::string_view request(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    const auto plain = plain_request(request, first_line_);
    if (!plain || room > 0) {
      room -= plain.has_value();
      hand(socket, request, false);
      continue;
    }
    answer_.write(plain->id.empty() ? names_.next() : plain->id, headers, answer);
    const ssize_t sent = send(socket, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    done.refused += 1;
    const std::size_t gone = sent > 0 ? static_cast<std::size_t>(sent) : 0;
    if (gone < answer.size()) hand(socket, std::string_view(answer).substr(gone), true);
  }
  return done;
}

#else

Turnstile::Turnstile(std::string, Answer) { throw std::runtime_error("there is no epoll"); }
Turnstile::~Turnstile() = default;
void Turnstile::add(int) {}
void Turnstile::remove(int) {}
Turn Turnstile::turn(std::int64_t, std::int64_t, std::string_view) { return {}; }

#endif

}  // namespace shortlist::turnstile
