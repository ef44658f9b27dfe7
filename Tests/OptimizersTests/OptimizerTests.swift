import Optimizers
import Tensors
import Testing

@Suite struct OptimizerTests {
    /// By hand: the first update moves by the learning rate against the gradient's sign, whatever the gradient's size.
    @Test func adamFirstStep() {
        let parameters = Tensor([2], [1, -2])
        var adam = Adam(count: 2, epsilon: 0)
        adam.update(parameters, gradient: Tensor([2], [0.003, -40]), learningRate: 0.1)
        #expect(abs(parameters.array[0] - 0.9) < 1e-6)
        #expect(abs(parameters.array[1] + 1.9) < 1e-6)
    }

    /// The decay is decoupled: with a gradient of 0 the parameter shrinks by lr·λ and the moments stay 0.
    @Test func weightDecayIsDecoupled() {
        let parameters = Tensor([1], [2])
        var adam = Adam(count: 1, weightDecay: 0.01)
        for _ in 0..<3 { adam.update(parameters, gradient: Tensor([1], [0]), learningRate: 0.5) }
        #expect(abs(Double(parameters.array[0]) - 2 * 0.995 * 0.995 * 0.995) < 1e-6)
    }

    /// Three steps in double precision by the published formulas.
    @Test func adamFollowsTheFormulas() {
        let gradients: [Double] = [0.5, -0.2, 0.9]
        let parameters = Tensor([1], [0.3])
        var adam = Adam(count: 1, weightDecay: 0.01)
        var (p, m, v, power1, power2) = (0.3, 0.0, 0.0, 1.0, 1.0)
        for g in gradients {
            adam.update(parameters, gradient: Tensor([1], [Float(g)]), learningRate: 0.05)
            (power1, power2) = (power1 * 0.9, power2 * 0.999)
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g * g
            p = p * (1 - 0.05 * 0.01) - 0.05 * (m / (1 - power1)) / ((v / (1 - power2)).squareRoot() + 1e-8)
            #expect(abs(Double(parameters.array[0]) - p) < 1e-6)
        }
    }

    @Test func schedules() {
        #expect(LearningRateSchedule.constant.factor(step: 7, of: 10, warmUp: 20) == 1)
        #expect(LearningRateSchedule.linear.factor(step: 5, of: 10) == 0.5)
        #expect(LearningRateSchedule.linear.factor(step: 1, of: 10, warmUp: 4) == 0.25)
        #expect(LearningRateSchedule.linear.factor(step: 7, of: 10, warmUp: 4) == 0.5)
        #expect(LearningRateSchedule.linear.factor(step: 10, of: 10, warmUp: 4) == 0)
        #expect(abs(LearningRateSchedule.cosine.factor(step: 5, of: 10) - 0.5) < 1e-12)
        #expect(LearningRateSchedule.cosine.factor(step: 0, of: 10) == 1)
        #expect(LearningRateSchedule.cosine.factor(step: 10, of: 10) < 1e-12)
    }
}
