// Memory that grows in place, so that what lies in it never moves.
#pragma once

#include <cstddef>
#include <string>

namespace shortlist::dynamic {

// A range of addresses is reserved when the arena is made and costs nothing; pages become usable as it grows, and hold
// zeros until they are written.
class Arena {
 public:
  // In memory, or in a nameless file of a folder, which is gone when the process is; as far as there is room for it.
  explicit Arena(std::size_t most_bytes);
  Arena(std::size_t most_bytes, const std::string& folder);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* data() const { return data_; }
  std::size_t size() const { return size_; }  // bytes that are usable

  // Makes at least so many bytes usable. Throws std::bad_alloc in memory and std::system_error on disk when there is
  // no room.
  void grow(std::size_t bytes);

 private:
  void reserve(std::size_t most_bytes);

  void* data_ = nullptr;
  std::size_t size_ = 0, reserved_ = 0;
  int file_ = -1;
};

}  // namespace shortlist::dynamic
