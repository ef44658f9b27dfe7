import CLVO
import Foundation

/// Calls with an autoencoder or a trainer.
extension FuzzWorld {
    func encodeRows() {
        let (n, sae) = (dice.pick([1, 2, 33, 100]), someAutoencoder())
        let (x, shape) = (dice.floats(n * 64, scale: 4), dice.shape([n, 64]))
        if dice.once(in: 2) {
            let (features, count) = (dice.room(n * 768, of: Float.self), dice.count(n * 768))
            call("lvo_sae_encode") { lvo_sae_encode(sae, x, shape, dice.pick([0, 1, 0, 1, 2]), features, count, $0) }
        } else {
            let k = dice.pick([1, 8, 20])
            let (indices, values) = (dice.room(n * k, of: Int32.self), dice.room(n * k, of: Float.self))
            let given = dice.once(in: 30) ? dice.pick([0, -1, 769, Int64.max]) : Int64(k)
            let count = dice.count(n * k)
            call("lvo_sae_encode_top") { lvo_sae_encode_top(sae, x, shape, given, indices, values, count, $0) }
        }
    }

    func decodeRows() {
        let (n, sae) = (dice.pick([1, 2, 33]), someAutoencoder())
        let (out, count) = (dice.room(n * 64, of: Float.self), dice.count(n * 64))
        let x = dice.once(in: 2) ? dice.floats(n * 64) : nil
        if dice.once(in: 2) {
            let (features, shape) = (dice.floats(n * 768), dice.shape([n, 768]))
            call("lvo_sae_decode") { lvo_sae_decode(sae, features, shape, x, out, count, $0) }
        } else {
            let k = dice.pick([1, 8])
            let wrong = dice.once(in: 20)
            let choices: [Int32] = wrong ? [.min, .max, 768, -2] : [-1, 0, 7, 767]
            let indices = dice.numbers((0..<n * k).map { _ in dice.pick(choices) })
            let (values, shape) = (dice.floats(n * k), dice.shape([n, k]))
            call("lvo_sae_decode_top") { lvo_sae_decode_top(sae, indices, values, shape, x, out, count, $0) }
        }
    }

    func saveAutoencoder() {
        if dice.once(in: 2) {
            return lvo_result_free(made("lvo_sae_parameters") { lvo_sae_parameters(someAutoencoder(), $0, $1) })
        }
        let path = dice.pick(["\(folder.path)/sae", "/proc/none", ""])
        call("lvo_sae_save") {
            lvo_sae_save(
                someAutoencoder(), path, dice.pick(["published", "saelens", "x"]), dice.pick(["f32", "f16", "bf16", "f8"]),
                dice.pick([nil, "layer"]), dice.pick([0, 1]), $0)
        }
    }

    func train() {
        let trainer = someTrainer()
        let (batch, shape) = (dice.floats(24 * 8), dice.shape([24, 8]))
        var text: UnsafeMutablePointer<CChar>?
        let positions = dice.once(in: 20) ? dice.pick([0, -1, 5, Int64.max]) : dice.pick([1, 2, 24])
        let isAsked = !dice.once(in: 3)
        call("lvo_trainer_step") { error in
            withUnsafeMutablePointer(to: &text) { lvo_trainer_step(trainer, batch, shape, positions,
                isAsked ? $0 : nil, error) }
        }
        lvo_text_free(text)
        if dice.once(in: 3) {
            lvo_sae_free(made("lvo_trainer_sae") { lvo_trainer_sae(trainer, $0, $1) })
        }
    }
}
