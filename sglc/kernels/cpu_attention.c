/* Attention of some queries over some keys on a CPU that multiplies bfloat16 (AVX-512), without the scores in memory.

   For queries q [N, M, D], keys k [N, K, D] and values v [N, K, E]: s = scale * q k^T + hidden, to the base 2;
   out = sum 2^(s - lse) v with lse = log2 sum 2^s. Keys go by in blocks that stay in the cache, a running maximum and
   sum beside them (Milakov and Gimelshein 2018; Dao et al. 2022). Products add up in float32; weights are rounded to
   bfloat16 before they meet the values. What is not a number stays so.

   A product instruction takes pairs of bfloat16, so a block is laid out anew in pairs: of dimensions for keys, of
   positions for values. That costs a pass over the block and serves all rows of queries. Few rows leave little to do
   but wait for memory, so the next block is fetched while the first of them are computed. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16 /* floats of a register */
#define BLOCK 256 /* keys at a time: with 64 dimensions both blocks and a row of scores stay in 1 MiB */
#define ROWS 6 /* of queries at a time: 6 x 4 registers add up, 5 more hold what is multiplied */
#define LINE 64 /* bytes that memory hands over at once */
#define INLINE static inline __attribute__((always_inline))

typedef uint16_t bfloat16;

typedef struct { /* strides count elements; the last dimension is dense */
    const bfloat16 *q, *k, *v;
    const float *hidden; /* [N or 1, M or 1, last], 0 or -inf for the last keys; NULL: all keys are seen */
    bfloat16 *out; /* [N, M, E], dense; NULL if wide_out is given */
    float *wide_out, *lse; /* [N, M, E] and [N, M], dense; lse may be NULL */
    int64_t items, rows, keys, dim, value_dim, last;
    int64_t q_item, q_row, k_item, k_row, v_item, v_row, hidden_item, hidden_row;
    float scale;
    int32_t threads;
} Attention;

typedef struct { /* memory of one thread, for some rows of one item */
    __m512i *keys; /* [groups of 16 keys][pairs of dimensions][16 keys][2] */
    __m512i *values; /* [groups of 16 dimensions, as `pack_values` has them][pairs of keys][16 dimensions][2] */
    float *scores; /* [ROWS, BLOCK] */
    bfloat16 *weights; /* [ROWS, BLOCK] */
    float *out, *peak, *total; /* [rows, E] with dimensions in the order of `values`, [rows], [rows] */
} Room;

/* 2^x for x <= 0, within 2e-7 of it; NaN stays NaN because max returns its second argument then. */
INLINE __m512 exp2_below_one(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-150.0f), x);
    __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 rest = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(1.535336188e-4f);
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(1.339887441e-3f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(9.618437358e-3f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(5.550332471e-2f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(2.402264791e-1f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(6.931472029e-1f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(y, whole);
}

/* Transposes a matrix of 16 x 16 pairs. */
INLINE void transpose(__m512i r[LANES]) {
    __m512i t[LANES];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 8; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    }
}

/* Fetches every second line of what comes after a block, `multiply` the others: memory is never left idle for long. */
INLINE void fetch(const bfloat16 *ahead, int64_t at) {
    if (ahead && at / (2 * LANES) % 2 == 0) _mm_prefetch((const char *)(ahead + at), _MM_HINT_T1);
}

/* Lays out `count` keys; those that a group of 16 lacks are zeros. */
static void pack_keys(const bfloat16 *k, int64_t row, int64_t count, int64_t dim, __m512i *to, const bfloat16 *ahead) {
    for (int64_t first = 0; first < count; first += LANES, to += dim / 2)
        for (int64_t d = 0; d < dim; d += 2 * LANES) {
            __m512i r[LANES];
            for (int64_t i = 0; i < LANES; i++) {
                fetch(ahead, (first + i) * dim + d);
                const bfloat16 *key = k + (first + i) * row + d;
                r[i] = first + i < count ? _mm512_loadu_si512(key) : _mm512_setzero_si512();
            }
            transpose(r);
            for (int64_t i = 0; i < LANES; i++) to[d / 2 + i] = r[i];
        }
}

/* Lays out `count` values in (count + 1) / 2 pairs; a last one that lacks its neighbour has zeros. Interleaving leaves
   the dimensions 8b .. 8b + 3 of each 32 in one group and 8b + 4 .. 8b + 7 in the next; `in_order` undoes that. */
static void pack_values(const bfloat16 *v, int64_t row, int64_t count, int64_t dim, __m512i *to,
                        const bfloat16 *ahead) {
    int64_t pairs = (count + 1) / 2;
    for (int64_t p = 0; p < pairs; p++)
        for (int64_t e = 0; e < dim; e += 2 * LANES) {
            fetch(ahead, 2 * p * dim + e);
            fetch(ahead, (2 * p + 1) * dim + e);
            const bfloat16 *value = v + 2 * p * row + e;
            __m512i one = _mm512_loadu_si512(value), next = _mm512_setzero_si512();
            if (2 * p + 1 < count) next = _mm512_loadu_si512(value + row);
            to[e / LANES * pairs + p] = _mm512_unpacklo_epi16(one, next);
            to[(e / LANES + 1) * pairs + p] = _mm512_unpackhi_epi16(one, next);
        }
}

/* Puts two groups of dimensions, as `pack_values` has them, in their order. */
INLINE void in_order(__m512 *one, __m512 *next) {
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    __m512 x = *one;
    *one = _mm512_permutex2var_ps(x, first, *next);
    *next = _mm512_permutex2var_ps(x, second, *next);
}

/* to [rows, 16 * groups] (+)= x [rows, 2 * pairs] times y [groups][pairs][16][2]; what `to` holds counts if `add`.
   Fetches every second of four lines a pair from `ahead` on, where it is given. */
INLINE void multiply(const bfloat16 *x, int64_t x_row, const __m512i *y, int64_t pairs, float *to, int64_t to_row,
                     const int rows, const int groups, const int add, const char *ahead) {
    __m512 sums[ROWS][4];
    for (int m = 0; m < rows; m++)
        for (int g = 0; g < groups; g++)
            sums[m][g] = add ? _mm512_loadu_ps(to + m * to_row + g * LANES) : _mm512_setzero_ps();
    for (int64_t p = 0; p < pairs; p++) {
        __m512i column[4];
        if (ahead)
            for (int line = 1; line < 4; line += 2) _mm_prefetch(ahead + (4 * p + line) * LINE, _MM_HINT_T1);
        for (int g = 0; g < groups; g++) column[g] = y[g * pairs + p];
        for (int m = 0; m < rows; m++) {
            int32_t pair;
            memcpy(&pair, x + m * x_row + 2 * p, sizeof pair);
            __m512bh same = (__m512bh)_mm512_set1_epi32(pair);
            for (int g = 0; g < groups; g++) sums[m][g] = _mm512_dpbf16_ps(sums[m][g], same, (__m512bh)column[g]);
        }
    }
    for (int m = 0; m < rows; m++)
        for (int g = 0; g < groups; g++) _mm512_storeu_ps(to + m * to_row + g * LANES, sums[m][g]);
}

INLINE void multiply_all(const bfloat16 *x, int64_t x_row, const __m512i *y, int64_t pairs, float *to, int64_t to_row,
                         int64_t columns, const int rows, const int add, const char *ahead) {
    int64_t c = 0;
    for (; c + 4 * LANES <= columns; c += 4 * LANES) {
        multiply(x, x_row, y + c / LANES * pairs, pairs, to + c, to_row, rows, 4, add, ahead);
        if (ahead) ahead += 4 * LINE * pairs;
    }
    for (; c < columns; c += LANES)
        multiply(x, x_row, y + c / LANES * pairs, pairs, to + c, to_row, rows, 1, add, NULL);
}

/* Scales a row of scores, hides what is hidden and what is no key; returns the greatest. */
INLINE float settle_row(float *scores, int64_t count, float scale, const float *hidden, int64_t hidden_first) {
    __m512 most = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < count; i += LANES) {
        __m512 x = _mm512_mul_ps(_mm512_loadu_ps(scores + i), _mm512_set1_ps(scale));
        __mmask16 keys = i + LANES <= count ? 0xffff : (__mmask16)((1u << (count - i)) - 1);
        if (hidden && i + LANES > hidden_first) {
            int64_t before = hidden_first - i; /* lanes that nothing hides */
            __mmask16 lanes = before > 0 ? keys & (__mmask16)(0xffffu << before) : keys;
            x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(lanes, hidden + i - hidden_first));
        }
        x = _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), keys, x);
        _mm512_storeu_ps(scores + i, x);
        most = _mm512_max_ps(most, x);
    }
    return _mm512_reduce_max_ps(most);
}

/* Takes `count` keys more into what `rows` (at most ROWS) queries have. */
INLINE void take_block(const int rows, const Attention *a, const Room *room, const bfloat16 *q, const float *hidden,
                       int64_t hidden_first, int64_t count, float *out, float *peak, float *total,
                       const bfloat16 *next_k, const bfloat16 *next_v) {
    int64_t width = (count + LANES - 1) / LANES * LANES, dim = a->value_dim;
    multiply_all(q, a->q_row, room->keys, a->dim / 2, room->scores, BLOCK, width, rows, 0, (const char *)next_k);
    for (int m = 0; m < rows; m++) {
        float *scores = room->scores + m * BLOCK, before = peak[m];
        float now = settle_row(scores, count, a->scale, hidden ? hidden + m * a->hidden_row : NULL, hidden_first);
        now = before > now ? before : now;
        float shift = now == -INFINITY ? 0.0f : now; /* while a query has seen no key */
        __m512 sum = _mm512_setzero_ps();
        for (int64_t i = 0; i < width; i += LANES) {
            __m512 weight = exp2_below_one(_mm512_sub_ps(_mm512_loadu_ps(scores + i), _mm512_set1_ps(shift)));
            sum = _mm512_add_ps(sum, weight);
            _mm256_storeu_si256((__m256i *)(room->weights + m * BLOCK + i), (__m256i)_mm512_cvtneps_pbh(weight));
        }
        float kept = exp2f(before - shift);
        peak[m] = now;
        total[m] = total[m] * kept + _mm512_reduce_add_ps(sum);
        if (kept != 1.0f)
            for (int64_t e = 0; e < dim; e += LANES) {
                float *at = out + m * dim + e;
                _mm512_storeu_ps(at, _mm512_mul_ps(_mm512_loadu_ps(at), _mm512_set1_ps(kept)));
            }
    }
    multiply_all(room->weights, BLOCK, room->values, (count + 1) / 2, out, dim, dim, rows, 1,
                 (const char *)next_v);
}

static void take_rows(const Attention *a, const Room *room, int64_t item, int64_t first, int64_t rows) {
    memset(room->out, 0, sizeof(float) * rows * a->value_dim);
    for (int64_t m = 0; m < rows; m++) room->peak[m] = -INFINITY, room->total[m] = 0;
    for (int64_t begin = 0; begin < a->keys; begin += BLOCK) {
        int64_t count = a->keys - begin < BLOCK ? a->keys - begin : BLOCK;
        int64_t hidden_first = a->keys - a->last - begin;
        const bfloat16 *next_k = NULL, *next_v = NULL; /* only where positions lie one behind the other */
        if (begin + BLOCK < a->keys) {
            if (a->k_row == a->dim) next_k = a->k + item * a->k_item + (begin + BLOCK) * a->k_row;
            if (a->v_row == a->value_dim) next_v = a->v + item * a->v_item + (begin + BLOCK) * a->v_row;
        } else if (item + 1 < a->items) {
            if (a->k_row == a->dim) next_k = a->k + (item + 1) * a->k_item;
            if (a->v_row == a->value_dim) next_v = a->v + (item + 1) * a->v_item;
        }
        const bfloat16 *k = a->k + item * a->k_item + begin * a->k_row, *v = a->v + item * a->v_item + begin * a->v_row;
        pack_keys(k, a->k_row, count, a->dim, room->keys, next_k);
        pack_values(v, a->v_row, count, a->value_dim, room->values, next_v);
        for (int64_t m = 0; m < rows; m += ROWS) {
            const bfloat16 *q = a->q + item * a->q_item + (first + m) * a->q_row;
            const float *hidden = NULL;
            if (a->hidden && hidden_first < count)
                hidden = a->hidden + item * a->hidden_item + (first + m) * a->hidden_row;
            float *out = room->out + m * a->value_dim, *peak = room->peak + m, *total = room->total + m;
#define TAKE(n) take_block(n, a, room, q, hidden, hidden_first, count, out, peak, total, next_k, next_v)
            switch (rows - m) { /* a constant number of rows, so that their sums stay in registers */
                case 1: TAKE(1); break;
                case 2: TAKE(2); break;
                case 3: TAKE(3); break;
                case 4: TAKE(4); break;
                case 5: TAKE(5); break;
                default: TAKE(ROWS);
            }
            next_k = next_v = NULL; /* it is on its way */
        }
    }
    for (int64_t m = 0; m < rows; m++) {
        int64_t row = item * a->rows + first + m;
        __m512 total = _mm512_set1_ps(room->total[m]);
        for (int64_t e = 0; e < a->value_dim; e += 2 * LANES) {
            const float *from = room->out + m * a->value_dim + e;
            __m512 x[2] = {_mm512_loadu_ps(from), _mm512_loadu_ps(from + LANES)};
            in_order(&x[0], &x[1]);
            for (int64_t i = 0; i < 2; i++) {
                x[i] = _mm512_div_ps(x[i], total);
                int64_t at = row * a->value_dim + e + i * LANES;
                if (a->out)
                    _mm256_storeu_si256((__m256i *)(a->out + at), (__m256i)_mm512_cvtneps_pbh(x[i]));
                else
                    _mm512_storeu_ps(a->wide_out + at, x[i]);
            }
        }
        if (a->lse) a->lse[row] = room->peak[m] + log2f(room->total[m]);
    }
}

/* Returns this thread's memory for so many rows, kept from call to call; false if there is none to be had. */
static int reserve(const Attention *a, int64_t rows, Room *room) {
    static _Thread_local char *memory;
    static _Thread_local size_t size;
    size_t blocks = 2 * BLOCK * (size_t)(a->dim + a->value_dim), scores = ROWS * BLOCK * sizeof(float);
    size_t wanted = blocks + 2 * scores + sizeof(float) * rows * (a->value_dim + 2);
    if (size < wanted) {
        free(memory);
        size = (wanted + 4095) / 4096 * 4096;
        memory = aligned_alloc(4096, size);
        if (!memory) return size = 0;
    }
    room->keys = (__m512i *)memory;
    room->values = room->keys + BLOCK * a->dim / (2 * LANES);
    room->scores = (float *)(memory + blocks);
    room->weights = (bfloat16 *)(memory + blocks + scores);
    room->out = (float *)(memory + blocks + 2 * scores);
    room->peak = room->out + rows * a->value_dim;
    room->total = room->peak + rows;
    return 1;
}

/* Returns 0, or 1 where memory was lacking. */
int sglc_cpu_attention(const Attention *a) {
    int64_t parts = a->items < a->threads ? (a->threads + a->items - 1) / a->items : 1; /* of an item's rows */
    int64_t height = (a->rows + parts - 1) / parts;
    int64_t tasks = a->items * parts, run = tasks / (8 * a->threads) + 1; /* neighbours, so that fetching ahead helps */
    int failed = 0;
#pragma omp parallel for num_threads(a->threads) schedule(dynamic, run) reduction(| : failed)
    for (int64_t task = 0; task < tasks; task++) {
        Room room;
        int64_t first = task % parts * height, rows = a->rows - first < height ? a->rows - first : height;
        if (rows <= 0) continue;
        if (reserve(a, rows, &room))
            take_rows(a, &room, task / parts, first, rows);
        else
            failed = 1;
    }
    return failed;
}
