// Slow twins of the kernels, generic over the number type.
