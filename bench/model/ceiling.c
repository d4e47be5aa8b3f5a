/*
 * What this machine allows with vectors of 128 bits, the width that WebAssembly has: memory read by all threads together, and int8
 * dot products of one thread (billions of multiply-adds a second), those also with vectors of 256 bits. Prints one line of JSON.
 *
 *     gcc -O3 -march=native -pthread ceiling.c -o ceiling && ./ceiling THREADS
 */
#define _GNU_SOURCE
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MAX_THREADS = 64, MAX_STREAMS = 8, KINDS = 4, PASSES = 5 * KINDS };
#define MEMORY_BYTES ((size_t)512 << 20) /* a thread; more than any cache */
#define DOTS 30000000L

static pthread_barrier_t barrier;
static double seconds_of_pass[PASSES];
static volatile int sink; /* keeps results alive, and with them the work */

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Inlined with a constant, so that the inner loops are gone and the sums stay in registers. */
static inline __attribute__((always_inline)) int read_streams(const char *memory, const int streams) {
  const size_t part = MEMORY_BYTES / streams;
  __m128i sum[MAX_STREAMS];
  memset(sum, 0, sizeof sum);
  for (size_t at = 0; at < part; at += 64)
    for (int s = 0; s < streams; s++)
      for (int k = 0; k < 64; k += 16)
        sum[s] = _mm_add_epi32(sum[s], _mm_load_si128((const __m128i *)(memory + s * part + at + k)));
  for (int s = 1; s < streams; s++) sum[0] = _mm_add_epi32(sum[0], sum[s]);
  return _mm_cvtsi128_si32(sum[0]);
}

/* How many streams a machine's prefetchers like best differs: passes take turns. */
static const int streams_of[] = {1, 2, 4, 8};
static int read_once(const char *memory, int pass) {
  switch (pass % KINDS) {
  case 0: return read_streams(memory, 1);
  case 1: return read_streams(memory, 2);
  case 2: return read_streams(memory, 4);
  default: return read_streams(memory, 8);
  }
}

static void *reader(void *is_first) {
  char *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("mmap");
    exit(1);
  }
  madvise(memory, MEMORY_BYTES, MADV_HUGEPAGE);
  memset(memory, 3, MEMORY_BYTES);
  for (int pass = 0; pass < PASSES; pass++) {
    pthread_barrier_wait(&barrier);
    const double begun = seconds();
    sink = read_once(memory, pass);
    pthread_barrier_wait(&barrier); /* the slowest thread ends the pass */
    if (is_first) seconds_of_pass[pass] = seconds() - begun;
  }
  munmap(memory, MEMORY_BYTES);
  return NULL;
}

/* By kind of streams_of, the best pass. */
static void read_gigabytes_per_second(int threads, double *best) {
  pthread_t team[MAX_THREADS];
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  for (long i = 0; i < threads; i++) pthread_create(&team[i], NULL, reader, i == 0 ? &barrier : NULL);
  for (int i = 0; i < threads; i++) pthread_join(team[i], NULL);
  pthread_barrier_destroy(&barrier);
  for (int kind = 0; kind < KINDS; kind++) best[kind] = 0;
  for (int pass = 0; pass < PASSES; pass++) {
    const double reached = (double)MEMORY_BYTES * threads / seconds_of_pass[pass] / 1e9;
    if (reached > best[pass % KINDS]) best[pass % KINDS] = reached;
  }
}

static inline int first_of(const void *vector) {
  int first;
  memcpy(&first, vector, sizeof first);
  return first;
}

/* The empty asm keeps the compiler from computing a product only once. */
#define PEAK(result, vector, weight, accumulators, macs, step)                          \
  do {                                                                                  \
    double best = 1e9;                                                                  \
    for (int pass = 0; pass < 3; pass++) {                                              \
      vector sum[accumulators];                                                         \
      for (int i = 0; i < accumulators; i++) memset(&sum[i], i, sizeof sum[i]);          \
      const double begun = seconds();                                                   \
      for (long n = 0; n < DOTS / accumulators; n++)                                    \
        for (int i = 0; i < accumulators; i++) {                                        \
          __asm__("" : "+x"(weight));                                                   \
          sum[i] = step;                                                                \
        }                                                                               \
      const double took = seconds() - begun;                                            \
      if (took < best) best = took;                                                     \
      for (int i = 0; i < accumulators; i++) sink = first_of(&sum[i]);                  \
    }                                                                                   \
    result = (double)DOTS * (macs) / best / 1e9;                                        \
  } while (0)

int main(int count, char **arguments) {
  const int threads = count > 1 ? atoi(arguments[1]) : 1;
  if (threads < 1 || threads > MAX_THREADS) {
    fprintf(stderr, "threads: 1..%d\n", MAX_THREADS);
    return 2;
  }
  double read[KINDS];
  read_gigabytes_per_second(threads, read);

  __m128i weight = _mm_set1_epi8(3);
  const __m128i value = _mm_set1_epi8(5), ones = _mm_set1_epi16(1);
  /* Ten sums hide the latency of every instruction: the most that the ports can do. */
  double pmaddwd, pmaddubsw, vpdpbusd = 0;
  PEAK(pmaddwd, __m128i, weight, 10, 8, _mm_add_epi32(sum[i], _mm_madd_epi16(weight, value)));
  PEAK(pmaddubsw, __m128i, weight, 10, 16, _mm_add_epi32(sum[i], _mm_madd_epi16(_mm_maddubs_epi16(value, weight), ones)));
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
  PEAK(vpdpbusd, __m128i, weight, 10, 16, _mm_dpbusd_epi32(sum[i], value, weight));
#elif defined(__AVXVNNI__)
  PEAK(vpdpbusd, __m128i, weight, 10, 16, _mm_dpbusd_avx_epi32(sum[i], value, weight));
#endif
  double wide_pmaddwd = 0, wide_pmaddubsw = 0, wide_vpdpbusd = 0;
#ifdef __AVX2__
  __m256i wide_weight = _mm256_set1_epi8(3);
  const __m256i wide_value = _mm256_set1_epi8(5), wide_ones = _mm256_set1_epi16(1);
  PEAK(wide_pmaddwd, __m256i, wide_weight, 10, 16, _mm256_add_epi32(sum[i], _mm256_madd_epi16(wide_weight, wide_value)));
  PEAK(wide_pmaddubsw, __m256i, wide_weight, 10, 32,
       _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(wide_value, wide_weight), wide_ones)));
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
  PEAK(wide_vpdpbusd, __m256i, wide_weight, 10, 32, _mm256_dpbusd_epi32(sum[i], wide_value, wide_weight));
#elif defined(__AVXVNNI__)
  PEAK(wide_vpdpbusd, __m256i, wide_weight, 10, 32, _mm256_dpbusd_avx_epi32(sum[i], wide_value, wide_weight));
#endif
#endif
  printf("{\"threads\":%d,\"readGBps\":{", threads);
  for (int kind = 0; kind < KINDS; kind++) printf("%s\"%d\":%.2f", kind ? "," : "", streams_of[kind], read[kind]);
  printf("},");
  printf("\"dotPeak\":{\"pmaddwd\":%.1f,\"pmaddubsw\":%.1f,\"vpdpbusd\":%.1f},", pmaddwd, pmaddubsw, vpdpbusd);
  printf("\"dotPeakWide\":{\"pmaddwd\":%.1f,\"pmaddubsw\":%.1f,\"vpdpbusd\":%.1f}}\n", wide_pmaddwd, wide_pmaddubsw, wide_vpdpbusd);
  return 0;
}
