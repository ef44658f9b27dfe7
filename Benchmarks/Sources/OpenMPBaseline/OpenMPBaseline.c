#include "OpenMPBaseline.h"

enum { ROWS = 4, DEPTH = 256, COLUMNS = 512 };

static void block(int rows, int columns, int depth, int n, int k, const float *a, const float *b, float *c) {
    for (int i = 0; i < rows; i += ROWS) {
        int height = rows - i < ROWS ? rows - i : ROWS;
        for (int p = 0; p < depth; p++) {
            for (int r = 0; r < height; r++) {
                float value = a[(i + r) * k + p];
                float *restrict out = c + (i + r) * n;
                const float *restrict in = b + p * n;
#pragma omp simd
                for (int j = 0; j < columns; j++) out[j] += value * in[j];
            }
        }
    }
}

void baseline_sgemm(int m, int n, int k, const float *a, const float *b, float *c, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < m; i += 64) {
        int rows = m - i < 64 ? m - i : 64;
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < n; j++) c[(i + r) * n + j] = 0;
        for (int j = 0; j < n; j += COLUMNS) {
            int columns = n - j < COLUMNS ? n - j : COLUMNS;
            for (int p = 0; p < k; p += DEPTH) {
                int depth = k - p < DEPTH ? k - p : DEPTH;
                block(rows, columns, depth, n, k, a + i * k + p, b + p * n + j, c + i * n + j);
            }
        }
    }
}
