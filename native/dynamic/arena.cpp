#include "arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <system_error>

namespace shortlist::dynamic {
namespace {

constexpr std::size_t kStep = std::size_t{2} << 20;    // a large page
constexpr std::size_t kLarge = std::size_t{16} << 20;  // from here on large pages are worth their rounding up

std::size_t rounded(std::size_t bytes) { return bytes / kStep * kStep + (bytes % kStep == 0 ? 0 : kStep); }

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

// No more addresses are taken than there is of memory or of disk, since they are not without end either.
std::size_t room_of(int file) {
  if (file < 0) {
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes);
  }
  struct statvfs disk {};
  if (fstatvfs(file, &disk) != 0) fail("the disk of spilled rows cannot be asked for its room");
  return static_cast<std::size_t>(disk.f_bavail) * disk.f_frsize;
}

// Where addresses are rationed (ulimit -v), others need them too.
std::size_t addresses_to_take() {
  struct rlimit most {};
  if (getrlimit(RLIMIT_AS, &most) != 0 || most.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return static_cast<std::size_t>(most.rlim_cur) / 16;
}

void extend(int file, std::size_t from, std::size_t to) {
#if defined(__linux__)
  // Blocks and not only a length: a full disk must be an error here, not a signal at the first write.
  if (const int error = posix_fallocate(file, static_cast<off_t>(from), static_cast<off_t>(to - from)); error != 0) {
    errno = error;
    fail("the file of spilled rows cannot grow");
  }
#else
  static_cast<void>(from);
  if (ftruncate(file, static_cast<off_t>(to)) != 0) fail("the file of spilled rows cannot grow");
#endif
}

}  // namespace

Arena::Arena(std::size_t most_bytes) { reserve(most_bytes); }

Arena::Arena(std::size_t most_bytes, const std::string& folder) {
  std::string name = folder + "/.shortlist-rows-XXXXXX";
  file_ = mkstemp(name.data());
  if (file_ < 0) fail("no file of spilled rows can be made in " + folder);
  unlink(name.c_str());
  reserve(most_bytes);
}

Arena::~Arena() {
  munmap(data_, reserved_);
  if (file_ >= 0) close(file_);
}

void Arena::reserve(std::size_t most_bytes) {
  const int flags = file_ < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED | MAP_NORESERVE;
  reserved_ = rounded(std::min(most_bytes, std::min(room_of(file_), addresses_to_take())));
  data_ = mmap(nullptr, reserved_, PROT_NONE, flags, file_, 0);
  if (data_ != MAP_FAILED) return;
  if (file_ >= 0) close(file_);
  throw std::bad_alloc();
}

void Arena::grow(std::size_t bytes) {
  if (bytes <= size_) return;
  if (bytes > reserved_) {
    if (file_ < 0) throw std::bad_alloc();
    errno = ENOSPC;
    fail("the file of spilled rows cannot grow");
  }
  const std::size_t wanted = std::min(rounded(bytes + size_ / 8), reserved_);
  char* begin = static_cast<char*>(data_) + size_;
  if (file_ >= 0) extend(file_, size_, wanted);
  if (mprotect(begin, wanted - size_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (file_ < 0 && wanted >= kLarge) madvise(begin, wanted - size_, MADV_HUGEPAGE);
#endif
  size_ = wanted;
}

}  // namespace shortlist::dynamic
