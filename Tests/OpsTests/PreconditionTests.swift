import Ops
import Tensors
import Testing

/// Shapes that do not belong together end the process instead of reading or writing out of bounds. Each test runs its body
/// in a process of its own.
@Suite struct PreconditionTests {
    @Test func aChannelBiasOfAnotherBatchIsRefused() async {
        await #expect(processExitsWith: .failure) {
            _ = try convolution().forward(Tensor.zeros([2, 4, 4, 16]), channelBias: Tensor.zeros([1, 16]))
        }
    }

    @Test func aResidualOfAnotherShapeIsRefusedOnTheWayBack() async {
        await #expect(processExitsWith: .failure) {
            _ = try convolution().backwardInput(
                Tensor.zeros([1, 4, 4, 16]), inputShape: [1, 4, 4, 16], adding: Tensor.zeros([1, 2, 4, 16]))
        }
    }

    @Test func winogradsAlgorithmIsRefusedAtStrideTwo() async {
        await #expect(processExitsWith: .failure) {
            _ = try convolution(stride: 2).forward(Tensor.zeros([1, 4, 4, 16]), algorithm: .winograd2)
        }
    }

    @Test func attentionsGradientOfAnotherShapeThanTheQueryIsRefused() async {
        await #expect(processExitsWith: .failure) {
            let engine = try Engine()
            let (query, short) = (Tensor.zeros([1, 8, 16]), Tensor.zeros([1, 4, 16]))
            let (out, saved) = Attention.forward(query: short, key: short, value: short, heads: 2, engine: engine)
            _ = Attention.backwardInput(
                Tensor.zeros(out.shape), query: query, key: query, value: query, out: out, saved: saved, heads: 2,
                engine: engine)
        }
    }

    @Test func statisticsOfAnotherPassAreRefused() async {
        await #expect(processExitsWith: .failure) {
            let ones = Weight(name: "ones", tensor: Tensor([4], [1, 1, 1, 1]))
            let norm = GroupNorm(weight: ones, bias: ones, groups: 2, epsilon: 1e-5, engine: try Engine())
            let (one, two) = (Tensor.zeros([1, 3, 4]), Tensor.zeros([2, 3, 4]))
            _ = norm.backwardInput(two, x: two, saved: norm.forward(one).saved)
        }
    }

    /// What the other tests refuse is not refused because of something else.
    @Test func theSameCallsWithShapesThatBelongTogetherAreDone() async {
        await #expect(processExitsWith: .success) {
            let x = Tensor.zeros([2, 4, 4, 16])
            _ = try convolution().forward(x, channelBias: Tensor.zeros([2, 16]), algorithm: .winograd2)
            _ = try convolution().backwardInput(x, inputShape: x.shape, adding: x)
            _ = try convolution(stride: 2).forward(x)
        }
    }
}

private func convolution(stride: Int = 1) throws -> Convolution {
    Convolution(
        weight: Weight(name: "w", tensor: Tensor.zeros([16, 16, 3, 3])), bias: nil, stride: stride, engine: try Engine())
}
