// Vectors of LANES floats, for the kernels that fuse their products; an instruction set defines LANES and SIMD, the
// target of its functions, before it includes this.

#define INLINE SIMD inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef std::uint32_t Whole __attribute__((vector_size(LANES * 4)));
typedef float Unaligned __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE Vec load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
INLINE void store(float* to, Vec value) { *reinterpret_cast<Unaligned*>(to) = value; }

// 2^x for x <= 0, to about one unit in the last place: 2^n 2^r, r within a half (Cephes' polynomial). What is below
// the smallest normal number is 0; NaN stays NaN.
INLINE Vec exponential(Vec x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest whole number in the low bits
  const Vec shifted = x + kRound;
  const Vec r = x - (shifted - kRound);
  Vec p = r * 1.535336188319500e-4f + 1.339887440266574e-3f;
  p = p * r + 9.618437357674640e-3f;
  p = p * r + 5.550332471162809e-2f;
  p = p * r + 2.402264791363012e-1f;
  p = p * r + 6.931472028550421e-1f;
  p = p * r + 1.0f;
  const Whole scaled = __builtin_bit_cast(Whole, p) + (__builtin_bit_cast(Whole, shifted) << 23);
  return x < -125.0f ? Vec{} : __builtin_bit_cast(Vec, scaled);
}

// The lanes of a vector turned by half, a quarter and so on of its width.
#if LANES == 16
#define HALVES(step, x)                                                                            \
  step(x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);                                   \
  step(x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);                                   \
  step(x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);                                   \
  step(x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif LANES == 8
#define HALVES(step, x)               \
  step(x, 4, 5, 6, 7, 0, 1, 2, 3);    \
  step(x, 2, 3, 0, 1, 6, 7, 4, 5);    \
  step(x, 1, 0, 3, 2, 5, 4, 7, 6)
#else
#define HALVES(step, x)  \
  step(x, 2, 3, 0, 1);   \
  step(x, 1, 0, 3, 2)
#endif
#define ADD_TURNED(x, ...) x += __builtin_shufflevector(x, x, __VA_ARGS__)
#define MAX_TURNED(x, ...)                                         \
  do {                                                             \
    const Vec turned = __builtin_shufflevector(x, x, __VA_ARGS__); \
    x = turned > x ? turned : x;                                   \
  } while (false)

INLINE float total(Vec x) {
  HALVES(ADD_TURNED, x);
  return x[0];
}

INLINE float largest_of(Vec x) {
  HALVES(MAX_TURNED, x);
  return x[0];
}
