// Requests that are refused without being understood: one exact form of them, and the bytes of the answer.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace shortlist::turnstile {

// What a request of the one form names itself by: the value of X-Request-Id, or nothing.
struct Named {
  std::string_view id;
};

// Whether some bytes are a whole request of the plainest form: this first line, headers that change nothing of how
// it is read, a body of the length they say, and no byte more. Everything else is left to a parser.
std::optional<Named> plain_request(std::string_view bytes, std::string_view first_line);

// An answer around the two places where the request's name stands.
struct Answer {
  std::string before, between, after;
  std::int64_t length = 0;  // of the content, without the name

  // Written over `out`; `headers` are lines that change from time to time.
  void write(std::string_view id, std::string_view headers, std::string& out) const;
};

// Sixteen hexadecimal digits for a request that has no name.
class Names {
 public:
  std::string_view next();

 private:
  std::mt19937_64 random_{std::random_device{}()};
  char digits_[16] = {};
};

}  // namespace shortlist::turnstile
