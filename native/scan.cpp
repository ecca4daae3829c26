#include "scan.hpp"

#include <algorithm>
#include <cmath>

namespace shortlist {
namespace {

constexpr std::int64_t kChunkBlocks = 16;

std::int64_t blocks_of(const Segment& segment) { return (segment.count + kBlockRows - 1) / kBlockRows; }

std::int64_t row_at(const Segment& segment, std::int64_t place) {
  return segment.order == nullptr ? place : segment.order[place];
}

std::int64_t label_of(const Segment& segment, std::int64_t row) {
  return segment.labels == nullptr ? row : segment.labels[row];
}

}  // namespace

std::vector<Chunk> chunks_of(const Search& job) {
  std::vector<Chunk> chunks;
  for (const Segment& segment : job.segments)
    for (std::int64_t first = 0, blocks = blocks_of(segment); first < blocks; first += kChunkBlocks)
      chunks.push_back({&segment, first, std::min(blocks, first + kChunkBlocks)});
  return chunks;
}

Scan::Scan(const Search& job, const Kernels& table) : job_(job), table_(table), hits_(kBlockRows * kLanes) {}

void Scan::begin(const Lanes& lanes, std::int64_t first, const std::vector<std::vector<std::int64_t>>& excluded,
                 std::atomic<double>* shared) {
  lanes_ = &lanes;
  const std::size_t count = static_cast<std::size_t>(lanes.count());
  if (collectors_.size() < count) collectors_.resize(count);
  bounds_.resize((count + kPanel - 1) / kPanel * kPanel);
  for (std::size_t lane = 0; lane < count; ++lane) {
    std::span<const std::int64_t> out;
    if (!excluded.empty()) out = excluded[static_cast<std::size_t>(first) + lane];
    collectors_[lane].reset(table_, job_.metric, lanes.query(static_cast<int>(lane)), job_.dim, job_.k, out,
                            shared + lane);
  }
  for (std::size_t lane = 0; lane < bounds_.size(); ++lane)
    bounds_[lane] = lanes.filter_bound(static_cast<int>(lane), -INFINITY);
}

void Scan::visit(const Chunk& chunk) {
  refresh_bounds();
  if (!worth_visiting(chunk)) return;
  const Segment& segment = *chunk.segment;
  for (std::int64_t block = chunk.first_block; block < chunk.last_block; ++block) {
    const std::uint64_t allowed = allowed_rows(segment, block);
    if (allowed == 0) continue;
    BlockStats stats;
    if (segment.codes != nullptr) {
      const std::int64_t size = kBlockRows * code_stride(job_.dim);
      visit_codes(segment, block, segment.codes + block * size, segment.stats[block], allowed);
    } else if (lanes_->count() == 1) {
      visit_floats(segment, block, allowed);
    } else if (code_now(segment, block, &stats)) {
      visit_codes(segment, block, scratch_.data(), stats, allowed);
    }
    if (bad_row_ >= 0) return;
  }
}

bool Scan::worth_visiting(const Chunk& chunk) const {
  if (chunk.segment->stats == nullptr) return true;
  // The rows come longest first, so the ends of the chunk bound all of it.
  BlockStats ends = chunk.segment->stats[chunk.first_block];
  ends.shortest = chunk.segment->stats[chunk.last_block - 1].shortest;
  for (int lane = 0; lane < lanes_->count(); ++lane)
    if (!(lanes_->best_possible(lane, ends) < collectors_[static_cast<std::size_t>(lane)].threshold())) return true;
  return false;
}

std::uint64_t Scan::allowed_rows(const Segment& segment, std::int64_t block) const {
  const std::int64_t first = block * kBlockRows, count = std::min<std::int64_t>(kBlockRows, segment.count - first);
  const std::uint64_t all = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  if (segment.dead == nullptr && job_.where == nullptr) return all;
  std::uint64_t allowed = 0;
  for (std::int64_t r = 0; r < count; ++r) {
    const std::int64_t row = row_at(segment, first + r);
    const bool alive = segment.dead == nullptr || !segment.dead[row];
    const bool wanted = alive && (job_.where == nullptr || job_.where[label_of(segment, row)]);
    allowed |= static_cast<std::uint64_t>(wanted) << r;
  }
  return allowed;
}

void Scan::visit_codes(const Segment& segment, std::int64_t block, const std::uint8_t* codes, const BlockStats& stats,
                       std::uint64_t allowed) {
  const CodeBlock view = code_block(codes, code_stride(job_.dim), stats, allowed, job_.metric);
  const int step = lanes_->by_row() ? 1 : kLanes;
  for (int first = 0; first < lanes_->count(); first += step) {
    const CodeQueries queries = lanes_->view(first, bounds_.data());
    const int panels = lanes_->count() - first > kPanel ? 2 : 1;
    const int found = lanes_->by_row() ? table_.code_row(view, queries, hits_.data())
                                       : table_.code_panels(view, queries, panels, hits_.data());
    if (found > 0) offer_hits(segment, block, stats, first, found);
  }
}

void Scan::offer_hits(const Segment& segment, std::int64_t block, const BlockStats& stats, int first_lane, int found) {
  for (int h = 0; h < found; ++h) {
    const Hit& hit = hits_[static_cast<std::size_t>(h)];
    const int lane = first_lane + hit.lane;
    if (lane >= lanes_->count()) continue;  // the panel's last lanes may stand for no query
    Collector& collector = collectors_[static_cast<std::size_t>(lane)];
    const Interval interval = lanes_->interval(lane, stats, hit.sum);
    const std::int64_t row = row_at(segment, block * kBlockRows + hit.row);
    if (collector.offer({interval.lower, interval.upper, label_of(segment, row), segment.rows + row * job_.dim}))
      bounds_[static_cast<std::size_t>(lane)] = lanes_->filter_bound(lane, collector.threshold());
  }
}

// One query over rows without codes: coding a block would cost more than scoring it.
void Scan::visit_floats(const Segment& segment, std::int64_t block, std::uint64_t allowed) {
  Collector& collector = collectors_[0];
  for (; allowed != 0; allowed &= allowed - 1) {
    const std::int64_t row = row_at(segment, block * kBlockRows + __builtin_ctzll(allowed));
    const double score =
        exact_score(table_, job_.metric, lanes_->query(0), segment.rows + row * job_.dim, job_.dim);
    if (!std::isfinite(score)) bad_row_ = row;  // doubles do not overflow on finite floats
    collector.offer({score, score, label_of(segment, row), nullptr});
  }
}

bool Scan::code_now(const Segment& segment, std::int64_t block, BlockStats* stats) {
  const std::int64_t first = block * kBlockRows;
  const int count = static_cast<int>(std::min<std::int64_t>(kBlockRows, segment.count - first));
  scratch_.resize(static_cast<std::size_t>(kBlockRows * code_stride(job_.dim)));
  const float* rows[kBlockRows];
  for (int r = 0; r < count; ++r) rows[r] = segment.rows + row_at(segment, first + r) * job_.dim;
  double norms[kBlockRows] = {};
  if (job_.metric == Metric::kL2)
    for (int r = 0; r < count; ++r) norms[r] = std::sqrt(table_.dot(rows[r], rows[r], job_.dim));
  if (table_.encode_block(rows, count, job_.dim, scratch_.data(), stats)) {
    set_norms(norms, count, stats);
    return true;
  }
  for (int r = 0; r < count && bad_row_ < 0; ++r)
    if (!std::isfinite(table_.dot(rows[r], rows[r], job_.dim))) bad_row_ = row_at(segment, first + r);
  return false;
}

void Scan::refresh_bounds() {
  for (int lane = 0; lane < lanes_->count(); ++lane) {
    Collector& collector = collectors_[static_cast<std::size_t>(lane)];
    if (collector.refresh())
      bounds_[static_cast<std::size_t>(lane)] = lanes_->filter_bound(lane, collector.threshold());
  }
}

}  // namespace shortlist
