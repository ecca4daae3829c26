// Parts, leaves and views as Python holds them: they keep alive the arrays that a search looks at.
#pragma once

#include <algorithm>
#include <utility>

#include "../arrays.hpp"
#include "codes.hpp"
#include "search.hpp"

namespace shortlist::leaves {

// The mirrors and after them their weights, in one array.
inline Frame frame_of(const Array<const float, 1>& origin, const Array<const float, 3>& mirrors) {
  if (!mirrors.is_valid()) return {origin.data(), nullptr, nullptr, 0};
  require(mirrors.shape(0) == 2 && mirrors.shape(2) == origin.shape(0) && mirrors.shape(1) <= mirrors.shape(2),
          "mirrors must be [2, turned, dim], no more than dim");
  return {origin.data(), mirrors.data(), mirrors.data() + mirrors.shape(1) * mirrors.shape(2),
          static_cast<std::int64_t>(mirrors.shape(1))};
}

inline void require_begins(const Array<const std::int64_t, 1>& begins, std::size_t leaves, std::size_t blocks) {
  require(begins.shape(0) == leaves + 1 && begins.data()[0] == 0 &&
              begins.data()[leaves] == static_cast<std::int64_t>(blocks),
          "begins must be [leaves + 1], from 0 to the number of blocks");
  for (std::size_t i = 0; i < leaves; ++i)
    require(begins.data()[i] <= begins.data()[i + 1], "leaves begin in ascending order");
}

// Whole rows in blocks, or what they hold first in blocks and the rest row by row.
template <class AnyBytes>
void require_widths(const Array<AnyBytes, 3>& codes, const Array<AnyBytes, 2>& rest, std::int64_t stride) {
  const auto head = static_cast<std::int64_t>(codes.shape(1)) * 4;
  require(codes.shape(2) == kBlock * 4, "codes must be [blocks, stride / 4, 64]");
  require(rest.is_valid() ? head > 0 && head < stride && static_cast<std::int64_t>(rest.shape(1)) == stride - head &&
                                rest.shape(0) == codes.shape(0) * kBlock
                          : head == stride,
          "codes and rest must be as wide as the rows");
}

inline Run run_of(const Array<const std::uint8_t, 3>& codes, const Array<const std::uint8_t, 2>& rest,
                  const float* scale, const float* bias) {
  return {codes.data(), scale, bias, nullptr, static_cast<std::int64_t>(codes.shape(0)),
          static_cast<std::int64_t>(codes.shape(1)) * 4, data_or_null(rest),
          rest.is_valid() ? static_cast<std::int64_t>(rest.shape(1)) : 0};
}

// A part that keeps the arrays it looks at alive.
class OwnedPart {
 public:
  OwnedPart(std::int64_t dim, std::int64_t count, Array<const float, 2> rows, Array<const std::int64_t, 1> labels,
            Array<const float, 1> origin, Array<const float, 3> mirrors, Array<const std::uint32_t, 1> order,
            Array<const std::uint8_t, 3> codes, Array<const std::uint8_t, 2> rest, Array<const float, 1> scale,
            Array<const float, 1> bias)
      : dim_(dim),
        count_(count),
        rows_(std::move(rows)),
        labels_(std::move(labels)),
        origin_(std::move(origin)),
        mirrors_(std::move(mirrors)),
        order_(std::move(order)),
        codes_(std::move(codes)),
        rest_(std::move(rest)),
        scale_(std::move(scale)),
        bias_(std::move(bias)) {
    const std::size_t places = order_.shape(0), rows_there = static_cast<std::size_t>(count);
    require(dim >= 1 && dim <= kMaxDim, "a row has 1 to 16384 values");
    require(static_cast<std::int64_t>(origin_.shape(0)) == dim, "origin must be [dim]");
    require(places % kBlock == 0 && codes_.shape(0) * kBlock == places, "codes must be [blocks, stride / 4, 64]");
    require_widths(codes_, rest_, code_stride(dim));
    require(!rest_.is_valid() || frame_of(origin_, mirrors_).turned == static_cast<std::int64_t>(codes_.shape(1)) * 4,
            "rows are cut behind the axes that the mirrors turned");
    require(scale_.shape(0) == places && (!bias_.is_valid() || bias_.shape(0) == places),
            "scale and bias must be [blocks * 16]");
    require(!rows_.is_valid() || (rows_.shape(0) == rows_there && static_cast<std::int64_t>(rows_.shape(1)) == dim),
            "rows must be [count, dim]");
    require(!labels_.is_valid() || labels_.shape(0) == rows_there, "labels must be [count]");
    for (std::size_t i = 0; labels_.is_valid() && i < rows_there; ++i)
      require(labels_.data()[i] >= 0, "labels must not be negative");
    for (std::size_t i = 0; i < places; ++i)
      require(order_.data()[i] == kNoRow || order_.data()[i] < rows_there, "order names a row that is not there");
  }

  std::int64_t dim() const { return dim_; }
  std::size_t places() const { return order_.shape(0); }
  bool has_bias() const { return bias_.is_valid(); }
  bool is_cut() const { return rest_.is_valid(); }
  std::int64_t highest_label() const {
    if (count_ == 0) return -1;
    return labels_.is_valid() ? *std::max_element(labels_.data(), labels_.data() + count_) : count_ - 1;
  }
  std::size_t blocks() const { return codes_.shape(0); }

  Part view() const {
    Part part{};
    part.dim = dim_;
    part.frame = frame_of(origin_, mirrors_);
    part.rows = data_or_null(rows_);
    part.labels = data_or_null(labels_);
    part.order = order_.data();
    part.run = run_of(codes_, rest_, scale_.data(), data_or_null(bias_));
    return part;
  }

 private:
  std::int64_t dim_, count_;
  Array<const float, 2> rows_;
  Array<const std::int64_t, 1> labels_;
  Array<const float, 1> origin_;
  Array<const float, 3> mirrors_;
  Array<const std::uint32_t, 1> order_;
  Array<const std::uint8_t, 3> codes_;
  Array<const std::uint8_t, 2> rest_;
  Array<const float, 1> scale_, bias_;
};

// The leaves of a part: where each begins and what its rows are like.
class OwnedLeaves {
 public:
  OwnedLeaves(Array<const std::int64_t, 1> begins, Array<const std::uint8_t, 3> codes,
              Array<const std::uint8_t, 2> rest, Array<const float, 1> scale, Array<const float, 1> bias, Array<const float, 1> spreads,
              Array<const float, 1> rest_spreads, float reach, float slack)
      : begins_(std::move(begins)),
        codes_(std::move(codes)),
        rest_(std::move(rest)),
        scale_(std::move(scale)),
        bias_(std::move(bias)),
        spreads_(std::move(spreads)),
        rest_spreads_(std::move(rest_spreads)),
        reach_(reach),
        slack_(slack) {
    const std::size_t leaves = spreads_.shape(0), places = codes_.shape(0) * kBlock;
    require(begins_.shape(0) == leaves + 1 && leaves >= 1 && places >= leaves && scale_.shape(0) == places &&
                bias_.shape(0) == places && rest_.is_valid() == rest_spreads_.is_valid() &&
                (!rest_spreads_.is_valid() || rest_spreads_.shape(0) == leaves),
            "the arrays of the leaves do not fit together");
    require_begins(begins_, leaves, static_cast<std::size_t>(begins_.data()[leaves]));
  }

  std::size_t count() const { return spreads_.shape(0); }

  void add_to(Part& part, const float* sizes) const {
    require(begins_.data()[count()] == part.run.blocks, "the last leaf ends with the last block");
    require_widths(codes_, rest_, code_stride(part.dim));
    part.centroids = run_of(codes_, rest_, scale_.data(), bias_.data());
    require(part.centroids.stride == part.run.stride, "centroids are cut where the rows are");
    part.leaves = static_cast<std::int64_t>(count());
    part.begins = begins_.data();
    part.sizes = sizes;
    part.spreads = spreads_.data();
    part.reach = reach_;
    part.rest_spreads = data_or_null(rest_spreads_);
    part.slack = slack_;
  }

 private:
  Array<const std::int64_t, 1> begins_;
  Array<const std::uint8_t, 3> codes_;
  Array<const std::uint8_t, 2> rest_;
  Array<const float, 1> scale_, bias_, spreads_, rest_spreads_;
  float reach_, slack_;
};

// A part as one state of an index sees it: with or without leaves, some rows dead or filtered out.
struct View {
  const OwnedPart* part;
  const OwnedLeaves* leaves;
  Array<const float, 1> sizes;
  Array<const std::uint16_t, 1> allowed;

  View(const OwnedPart* part_, const OwnedLeaves* leaves_, Array<const float, 1> sizes_,
       Array<const std::uint16_t, 1> allowed_)
      : part(part_), leaves(leaves_), sizes(std::move(sizes_)), allowed(std::move(allowed_)) {
    require((leaves == nullptr) == !sizes.is_valid() && (leaves == nullptr || sizes.shape(0) == leaves->count()),
            "sizes must be [leaves]");
    require(!allowed.is_valid() || allowed.shape(0) == part->blocks(), "allowed must be [blocks]");
    require(leaves != nullptr || !part->is_cut(), "rows without leaves are not cut");
    view();
  }

  Part view() const {
    Part result = part->view();
    result.run.allowed = data_or_null(allowed);
    if (leaves != nullptr) leaves->add_to(result, sizes.data());
    return result;
  }
};

}  // namespace shortlist::leaves
