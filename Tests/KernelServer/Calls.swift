// A kernel of n parameters is given n arguments, read by their types in the order of the parameters. One function for each n:
// Embedded Swift has no parameter packs.

extension Arguments {
    private mutating func next<T: Argument>() -> T { T.read(&self) }

    mutating func call<A: Argument, R>(_ kernel: (A) -> R) -> R {
        kernel(next())
    }

    mutating func call<A: Argument, B: Argument, R>(_ kernel: (A, B) -> R) -> R {
        kernel(next(), next())
    }

    mutating func call<A: Argument, B: Argument, C: Argument, R>(_ kernel: (A, B, C) -> R) -> R {
        kernel(next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, R
    >(_ kernel: (A, B, C, D) -> R) -> R {
        kernel(next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, R
    >(_ kernel: (A, B, C, D, E) -> R) -> R {
        kernel(next(), next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, F: Argument, R
    >(_ kernel: (A, B, C, D, E, F) -> R) -> R {
        kernel(next(), next(), next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, F: Argument, G: Argument, R
    >(_ kernel: (A, B, C, D, E, F, G) -> R) -> R {
        kernel(next(), next(), next(), next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, F: Argument, G: Argument,
        H: Argument, R
    >(_ kernel: (A, B, C, D, E, F, G, H) -> R) -> R {
        kernel(next(), next(), next(), next(), next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, F: Argument, G: Argument,
        H: Argument, I: Argument, R
    >(_ kernel: (A, B, C, D, E, F, G, H, I) -> R) -> R {
        kernel(next(), next(), next(), next(), next(), next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, F: Argument, G: Argument,
        H: Argument, I: Argument, J: Argument, R
    >(_ kernel: (A, B, C, D, E, F, G, H, I, J) -> R) -> R {
        kernel(next(), next(), next(), next(), next(), next(), next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, F: Argument, G: Argument,
        H: Argument, I: Argument, J: Argument, K: Argument, L: Argument, M: Argument, R
    >(_ kernel: (A, B, C, D, E, F, G, H, I, J, K, L, M) -> R) -> R {
        kernel(
            next(), next(), next(), next(), next(), next(), next(),
            next(), next(), next(), next(), next(), next())
    }

    mutating func call<
        A: Argument, B: Argument, C: Argument, D: Argument, E: Argument, F: Argument, G: Argument,
        H: Argument, I: Argument, J: Argument, K: Argument, L: Argument, M: Argument, N: Argument, R
    >(_ kernel: (A, B, C, D, E, F, G, H, I, J, K, L, M, N) -> R) -> R {
        kernel(
            next(), next(), next(), next(), next(), next(), next(),
            next(), next(), next(), next(), next(), next(), next())
    }
}
