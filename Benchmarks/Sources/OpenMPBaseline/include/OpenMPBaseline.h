#pragma once

// C[m, n] = A[m, k] · B[k, n], row-major float32: a blocked product as one writes it in C with OpenMP, vectorized by
// the compiler. The yardstick that the Swift kernels are measured against in the same run.
void baseline_sgemm(int m, int n, int k, const float *a, const float *b, float *c, int threads);
