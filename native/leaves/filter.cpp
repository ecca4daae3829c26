#include "filter.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "codes.hpp"

namespace shortlist::leaves {

void allow(const Part& part, const bool* where, std::uint16_t* allowed) {
  for (std::int64_t block = 0; block < part.run.blocks; ++block) {
    std::uint32_t bits = 0;
    for (int i = 0; i < kBlock; ++i) {
      const std::uint32_t row = part.order[block * kBlock + i];
      if (row == kNoRow) continue;
      const std::int64_t label = part.labels == nullptr ? row : part.labels[row];
      bits |= static_cast<std::uint32_t>(where[label]) << i;
    }
    if (part.run.allowed != nullptr) bits &= part.run.allowed[block];
    allowed[block] = static_cast<std::uint16_t>(bits);
  }
}

void count_allowed(const std::uint16_t* allowed, const std::int64_t* begins, std::int64_t leaves, float* sizes) {
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
    int count = 0;
    for (std::int64_t block = begins[leaf]; block < begins[leaf + 1]; ++block) count += std::popcount(allowed[block]);
    sizes[leaf] = static_cast<float>(count);
  }
}

void copy_allowed(const Part& part, const std::uint16_t* allowed, const Copy& copy) {
  const std::int64_t whole[2] = {0, part.run.blocks}, stride = part.run.stride, rest = part.run.rest_stride;
  const std::int64_t leaves = part.leaves == 0 ? 1 : part.leaves;
  const std::int64_t* begins = part.leaves == 0 ? whole : part.begins;
  for (std::int64_t leaf = 0; leaf < leaves; ++leaf) {
    std::int64_t to = copy.begins[leaf] * kBlock;
    const std::int64_t end = copy.begins[leaf + 1] * kBlock;
    std::fill(copy.codes + to * stride, copy.codes + end * stride, std::uint8_t{128});
    for (std::int64_t block = begins[leaf]; block < begins[leaf + 1]; ++block) {
      for (std::uint32_t bits = allowed[block]; bits != 0; bits &= bits - 1, ++to) {
        const int lane = std::countr_zero(bits);
        const std::int64_t from = block * kBlock + lane;
        const std::uint8_t* source = part.run.codes + block * kBlock * stride + 4 * lane;
        std::uint8_t* target = copy.codes + to / kBlock * kBlock * stride + 4 * (to % kBlock);
        for (std::int64_t j = 0; j < stride * kBlock; j += 4 * kBlock) std::memcpy(target + j, source + j, 4);
        if (rest > 0) std::memcpy(copy.rest + to * rest, part.run.rest + from * rest, static_cast<std::size_t>(rest));
        copy.scale[to] = part.run.scale[from];
        if (copy.bias != nullptr) copy.bias[to] = part.run.bias[from];
        copy.order[to] = part.order[from];
      }
    }
    for (; to < end; ++to) {
      copy.scale[to] = std::numeric_limits<float>::quiet_NaN();
      if (copy.bias != nullptr) copy.bias[to] = 0.0f;
      copy.order[to] = kNoRow;
    }
  }
}

}  // namespace shortlist::leaves
