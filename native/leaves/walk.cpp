#include "walk.hpp"

#include <algorithm>
#include <cmath>

namespace shortlist::leaves {
namespace {

// Rows that a query meets between two cuts of its list. Where rows are cut, a threshold that rises at once spares more
// than it takes to find it.
constexpr std::int64_t kRoom = 32, kRoomOfCut = 8;
constexpr std::int64_t kRunOfCut = 2;  // blocks that a query alone meets at a time

// A vector's length in the unit of its codes, whose squares no query can make overflow.
float length_of(const float* vector, std::int64_t dim, float unit) {
  const float inverse = 1.0f / unit;
  float sum = 0;
  for (std::int64_t j = 0; j < dim; ++j) sum += (vector[j] * inverse) * (vector[j] * inverse);
  return std::sqrt(sum);
}

// Divides a vector by its largest magnitude, so that turning it overflows for no query. Returns what it divided by.
float brought_to_one(float* vector, std::int64_t dim) {
  float largest = 0;
  for (std::int64_t j = 0; j < dim; ++j) largest = std::max(largest, std::fabs(vector[j]));
  if (largest < 1e-30f) return 1.0f;
  for (std::int64_t j = 0; j < dim; ++j) vector[j] /= largest;
  return largest;
}

Run slice(const Run& whole, std::int64_t block, std::int64_t blocks) {
  Run run = whole;
  run.codes += block * kBlock * whole.stride;
  run.scale += block * kBlock;
  if (run.bias != nullptr) run.bias += block * kBlock;
  if (run.allowed != nullptr) run.allowed += block;
  if (run.rest != nullptr) run.rest += block * kBlock * whole.rest_stride;
  run.blocks = blocks;
  return run;
}

// Drops those of the hits, from `from` on, that do not reach the threshold.
void keep_reaching(Hits& hits, std::int32_t from) {
  std::int32_t kept = from;
  for (std::int32_t i = from; i < hits.count; ++i) {
    hits.scores[kept] = hits.scores[i];
    hits.places[kept] = hits.places[i];
    kept += hits.scores[i] >= hits.threshold;
  }
  hits.count = kept;
}

}  // namespace

Walk::Walk(const Search& job)
    : job_(job), table_(kernels()), exact_(shortlist::kernels()), dim_(job.parts.front().dim) {
  std::uint32_t first = 0;
  for (const Part& part : job.parts) {
    firsts_.push_back(first);
    first += static_cast<std::uint32_t>(part.run.blocks * kBlock);
    if (part.run.rest != nullptr) head_ = part.run.stride;
  }
}

void Walk::search(std::int64_t first, std::int64_t count, float effort, std::int64_t* labels, float* scores) {
  begin(first, count);
  for (std::size_t p = 0; p < job_.parts.size(); ++p) {
    const Part& part = job_.parts[p];
    if (part.leaves == 0) {
      everyone_.clear();
      for (std::int64_t q = 0; q < count; ++q) everyone_.push_back({0, static_cast<std::uint32_t>(q), 0.0f});
      look(part, p, 0, part.run.blocks, everyone_.data(), count);
    } else {
      choose_leaves(part, effort);
      if (count_ == 1) {
        visit_alone(part, p);
      } else {
        if (!best_visits_.empty()) visit_leaves(part, p, best_visits_);
        visit_leaves(part, p, visits_);
      }
    }
  }
  for (std::int64_t q = 0; q < count; ++q) {
    const std::int64_t at = (first + q) * job_.k;
    const std::int64_t found = finish(q, labels + at, scores + at);
    short_of_.push_back(found < job_.k);
  }
}

void Walk::begin(std::int64_t first, std::int64_t count) {
  first_ = first;
  count_ = count;
  short_of_.clear();
  const auto size = static_cast<std::size_t>(count);
  codes_.resize(size * static_cast<std::size_t>(code_stride(dim_)));
  queries_.resize(size), units_.resize(size), lengths_.resize(size);
  if (head_ > 0) cut_queries_.resize(size), rest_lengths_.resize(size);
  if (candidates_.size() < size) candidates_.resize(size);
  if (job_.excluded_offsets != nullptr) excluded_.resize(size);
  for (std::int64_t q = 0; q < count; q += kTile) code(q, std::min<std::int64_t>(kTile, count - q));
  for (std::int64_t q = 0; q < count; ++q) {
    candidates_[static_cast<std::size_t>(q)].reset(job_.keep, head_ > 0 ? kRoomOfCut : kRoom);
    if (job_.excluded_offsets == nullptr) continue;
    const std::int64_t* offsets = job_.excluded_offsets + first + q;
    std::vector<std::int64_t>& excluded = excluded_[static_cast<std::size_t>(q)];
    excluded.assign(job_.excluded + offsets[0], job_.excluded + offsets[1]);
    std::sort(excluded.begin(), excluded.end());
  }
}

// The rows' codes are relative to the origin. An inner product with the origin is the same for all rows; a distance
// is that of the query relative to the origin, too.
void Walk::code(std::int64_t q, std::int64_t count) {
  const Frame& frame = job_.parts.front().frame;
  float scales[kTile];
  relative_.assign(job_.queries + (first_ + q) * dim_, job_.queries + (first_ + q + count) * dim_);
  for (std::int64_t i = 0; i < count; ++i) {
    float* relative = relative_.data() + i * dim_;
    if (job_.metric == Metric::kL2)
      for (std::int64_t j = 0; j < dim_; ++j) relative[j] -= frame.origin[j];
    scales[i] = frame.turned > 0 ? brought_to_one(relative, dim_) : 1.0f;
  }
  if (frame.turned > 0) {
    along_.resize(static_cast<std::size_t>(kTile * frame.turned));
    table_.turn(frame, dim_, relative_.data(), count, along_.data());
  }
  for (std::int64_t i = 0; i < count; ++i) code_relative(q + i, relative_.data() + i * dim_, scales[i]);
}

void Walk::code_relative(std::int64_t q, const float* relative, float scale) {
  const auto i = static_cast<std::size_t>(q);
  std::int8_t* codes = codes_.data() + q * code_stride(dim_);
  const float unit = code_query(relative, dim_, table_.query_range, codes, &queries_[i]);
  units_[i] = scale * unit;
  lengths_[i] = length_of(relative, dim_, unit);
  // A distance is |q|^2 - 2 q.v + |v|^2: the rows' bias is -|v|^2 / 2, and |q|^2 changes no order.
  queries_[i].weight = 1.0f / units_[i];
  if (head_ == 0) return;
  cut_queries_[i] = cut(queries_[i], head_);
  rest_lengths_[i] = length_of(relative + head_, dim_ - head_, unit);
}

void Walk::look(const Part& part, std::size_t p, std::int64_t begin, std::int64_t end, const Visit* visits,
                std::int64_t count) {
  const bool cut = part.run.rest != nullptr;
  const std::vector<Query>& coded = cut ? cut_queries_ : queries_;
  const Query* queries[kTile];
  Hits* hits[kTile];
  float more[kTile];
  for (std::int64_t v = 0; v < count; v += kTile) {
    const int tile = static_cast<int>(std::min<std::int64_t>(kTile, count - v));
    for (int i = 0; i < tile; ++i) {
      const Visit& visit = visits[v + i];
      queries[i] = &coded[visit.query];
      hits[i] = &candidates_[visit.query].hits();
      if (cut) more[i] = visit.rest + part.slack * rest_lengths_[visit.query] * part.rest_spreads[visit.leaf];
    }
    const std::int64_t blocks = cut && count_ == 1 ? kRunOfCut : kRunBlocks;
    for (std::int64_t block = begin; block < end; block += blocks) {
      const Run run = slice(part.run, block, std::min(blocks, end - block));
      const std::uint32_t place = firsts_[p] + static_cast<std::uint32_t>(block * kBlock);
      if (cut)
        meet_heads(run, place, queries, hits, more, tile);
      else
        table_.hits(run, place, queries, hits, tile);
      for (int i = 0; i < tile; ++i)
        if (candidates_[visits[v + i].query].full()) settle(visits[v + i].query);
    }
  }
}

// Adds the rows that reach the threshold. The rest of a row is read only where its head, and as much `more` as the
// rest can be expected to say, would.
void Walk::meet_heads(const Run& run, std::uint32_t place, const Query* const* queries, Hits* const* hits,
                      const float* more, int count) {
  std::int32_t before[kTile];
  float threshold[kTile];
  for (int i = 0; i < count; ++i) {
    before[i] = hits[i]->count;
    threshold[i] = hits[i]->threshold;
    hits[i]->threshold -= more[i];
  }
  table_.hits(run, place, queries, hits, count);
  for (int i = 0; i < count; ++i) {
    Hits& found = *hits[i];
    found.threshold = threshold[i];
    if (found.count == before[i]) continue;
    if (count_ == 1) ask_for_rest(run, place, found.places + before[i], found.count - before[i]);
    table_.complete(run, place, *queries[i], found.places + before[i], found.count - before[i],
                    found.scores + before[i]);
    keep_reaching(found, before[i]);
  }
}

void Walk::settle(std::uint32_t q) {
  Candidates& candidates = candidates_[q];
  if (job_.excluded_offsets != nullptr && !excluded_[q].empty())
    candidates.filter([&](std::uint32_t place) {
      return std::binary_search(excluded_[q].begin(), excluded_[q].end(), label_of(place));
    });
  candidates.settle(table_);
}

}  // namespace shortlist::leaves
