// Kept connections that are read without the interpreter: a few requests are let through, the rest are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "refusal.hpp"

namespace shortlist::turnstile {

// A connection that leaves the turnstile, and why.
struct Handed {
  int socket = -1;
  std::string bytes;    // that have been read of it; empty where the client has gone
  bool unsent = false;  // whether they are the rest of an answer instead, which the client does not take yet
};

struct Turn {
  std::int64_t refused = 0;
  std::vector<Handed> handed;
};

// Not for several threads at once. Linux alone has what it needs; elsewhere it cannot be made.
class Turnstile {
 public:
  Turnstile(std::string first_line, Answer answer);
  ~Turnstile();
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;

  // Something to wait on: readable when one of the connections is.
  int waits_on() const { return poll_; }

  // The socket stays whoever's it is, and must be taken out before it is closed.
  void add(int socket);
  void remove(int socket);

  // Reads of at most `most` connections. The first `room` and all that are not of the one form leave.
  Turn turn(std::int64_t room, std::int64_t most, std::string_view headers);

 private:
  std::string first_line_;
  Answer answer_;
  Names names_;
  int poll_ = -1;
};

}  // namespace shortlist::turnstile
