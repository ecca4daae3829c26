// The best rows that one query has met, by the codes' scores.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace shortlist::leaves {

// Rows that a search may still return, with room for what one call of a kernel can add.
class Candidates {
 public:
  // Begins anew; the best `keep` rows will be there at the end, or a few more. They are cut back to these when there
  // are about `room` more.
  void reset(std::int64_t keep, std::int64_t room);

  // Where the kernels write.
  Hits& hits() { return hits_; }
  // Whether the rows must be settled before a kernel is called again.
  bool full() const { return hits_.count >= limit_; }

  // Drops those of the rows met since the last call for which `refused(place)` holds.
  template <class Refused>
  void filter(const Refused& refused) {
    std::int32_t kept = settled_;
    for (std::int32_t i = settled_; i < hits_.count; ++i) {
      if (refused(hits_.places[i])) continue;
      hits_.scores[kept] = hits_.scores[i];
      hits_.places[kept++] = hits_.places[i];
    }
    hits_.count = settled_ = kept;
  }

  // Keeps the best; from then on only better ones are met.
  void settle(const Kernels& table);

 private:
  bool cut_by_bisection(const Kernels& table);
  void cut_exactly();

  std::vector<float> scores_;
  std::vector<std::uint32_t> places_;
  Hits hits_{};
  std::int32_t settled_ = 0;
  std::int64_t keep_ = 0;
  std::int64_t spare_ = 0;  // how many more than `keep` may stay
  std::int64_t limit_ = 0;
};

}  // namespace shortlist::leaves
