import CLVO
import Files
import Foundation
import TestSupport
import Testing

/// Random sequences of calls with right and wrong arguments, every array between pages that may not be touched. Whatever comes:
/// a code of the header with a line that tells of it, no handle with an error, and neither a trap nor a touch of a page.
@Suite(.serialized) struct CInterfaceFuzzTests {
    @Test func noSequenceOfCallsEndsTheProcess() throws {
        let isLong = FuzzCampaign.longCount != nil
        let sequences = FuzzCampaign.longCount ?? 150
        let world = try FuzzWorld()
        let begin = ContinuousClock.now
        for number in 0..<sequences {
            world.run(sequence: UInt64(number))
            if isLong, number % 10_000 == 9_999 {
                print("\(number + 1) sequences, \((ContinuousClock.now - begin) / .seconds(1)) s")
            }
        }
        #expect(world.broken.isEmpty)
        for (name, outcomes) in world.outcomes.sorted(by: { $0.key < $1.key }) {
            if isLong { print("\(name): \(outcomes.done) done, \(outcomes.refused) refused") }
            // Both must occur, or calls do not reach beyond the first check, or nothing is checked.
            #expect(outcomes.refused > 0 || sequences < 20_000, "\(name)")
            #expect(outcomes.done > 0 || sequences < 20_000, "\(name)")
        }
        #expect(world.outcomes.count > 20)
    }
}

/// What sequences of calls work with.
final class FuzzWorld {
    struct Outcomes {
        var done = 0
        var refused = 0
    }

    private(set) var outcomes: [String: Outcomes] = [:]
    private(set) var broken: [String] = []
    var dice: Dice
    let folder: TemporaryFolder
    private let memory = (0..<12).map { _ in GuardedMemory() }
    /// One of each kind lasts from sequence to sequence, while it is not closed.
    private(set) var model: OpaquePointer?
    private(set) var sae: OpaquePointer?
    private(set) var trainer: OpaquePointer?
    private(set) var trace: (handle: OpaquePointer, output: Int, latent: Int)?
    private var sequence: UInt64 = 0

    init() throws {
        folder = try TemporaryFolder()
        dice = Dice(seed: 0, memory: memory)
    }

    deinit {
        lvo_trace_free(trace?.handle)
        lvo_model_free(model)
        lvo_sae_free(sae)
        lvo_trainer_free(trainer)
    }

    func run(sequence number: UInt64) {
        sequence = number
        dice = Dice(seed: number, memory: memory)
        for _ in 0...dice.below(8) {
            dice.begin()
            step()
        }
    }

    private func step() {
        switch dice.below(24) {
        case 0: openModel()
        case 1: openAutoencoder()
        case 2: openTrainer()
        case 3: describe()
        case 4: encodeText()
        case 5, 6: activations()
        case 7, 8: forward()
        case 9, 10: gradient()
        case 11: replaced()
        case 12: encodePictures()
        case 13: decode()
        case 14, 15: encodeRows()
        case 16, 17: decodeRows()
        case 18: saveAutoencoder()
        case 19, 20: train()
        case 21: generate()
        case 22: dream()
        default: closeSomething()
        }
    }

    /// Makes a call that may hand out a handle, and must with LVO_OK alone.
    func made(
        _ name: String, _ body: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<lvo_error>?) -> Int32
    ) -> OpaquePointer? {
        var made = OpaquePointer(bitPattern: 64)
        let isDone = withUnsafeMutablePointer(to: &made) { made in call(name) { body(made, $0) } }
        if (made != nil) != isDone { broken.append("\(name), sequence \(sequence): a handle with an error, or none without") }
        return made
    }

    /// Makes a call and looks at what it says.
    @discardableResult
    func call(_ name: String, _ body: (UnsafeMutablePointer<lvo_error>?) -> Int32) -> Bool {
        var error = lvo_error()
        let code = dice.once(in: 30) ? body(nil) : withUnsafeMutablePointer(to: &error) { body($0) }
        let bytes = withUnsafeBytes(of: &error.message) { Array($0.prefix { $0 != 0 }) }
        func check(_ condition: Bool, _ what: String) {
            if !condition { broken.append("\(name), sequence \(sequence): \(what)") }
        }
        check((0...10).contains(code), "code \(code)")
        let message = String(validating: bytes, as: UTF8.self)
        check(message != nil && !bytes.contains { $0 < 0x20 } && bytes.count < 1020, "its message")
        if error.code != 0 { check(error.code == code && !bytes.isEmpty, "no message with code \(code)") }
        outcomes[name, default: Outcomes()].done += code == 0 ? 1 : 0
        outcomes[name, default: Outcomes()].refused += code == 0 ? 0 : 1
        return code == 0
    }

    /// The model; one is opened if there is none.
    func someModel() -> OpaquePointer? {
        if model == nil { openModel(soundly: true) }
        return dice.once(in: 50) ? nil : model
    }

    func someAutoencoder() -> OpaquePointer? {
        if sae == nil { openAutoencoder(soundly: true) }
        return dice.once(in: 50) ? nil : sae
    }

    func someTrainer() -> OpaquePointer? {
        if trainer == nil { openTrainer(soundly: true) }
        return dice.once(in: 50) ? nil : trainer
    }

    private func replace(
        _ place: inout OpaquePointer?, _ made: OpaquePointer?, free: (OpaquePointer?) -> Void
    ) {
        guard let made else { return }
        free(place)
        place = made
    }

    private func openModel(soundly: Bool = false) {
        let settings = soundly ? #"{"model": "embedded", "threads": 1}"# : dice.object(
            [
                ("model", ["\"embedded\"", "\"\"", "\"/\"", "3"]), ("threads", ["1", "2", "0", "-1", "1e300",
                    "9223372036854775807"]),
                ("precision", ["\"f32\"", "\"auto\"", "\"x\"", "null"]), ("memory", ["3000000000", "1", "-1", "1.5"]),
                ("instruction_set", ["\"baseline\"", "\"avx2\"", "\"\""]), ("loras", ["[]", "[{}]", "{}",
                    "[{\"path\": \"/\"}]"]),
                ("vae", ["null", "\"/\"", "[]"]), ("embeddings", ["[]", "[1]"]), ("autoencoders", ["\"embedded\"", "\"/\""]),
                ("cache", ["\"\(folder.path)\"", "\"/proc/none\""]),
            ], always: 1)
        replace(&model, made("lvo_model_open") { lvo_model_open(settings, $0, $1) }) { lvo_model_free($0) }
    }

    private func openAutoencoder(soundly: Bool = false) {
        let settings = soundly ? #"{"path": "embedded", "threads": 1}"# : dice.object(
            [
                ("path", ["\"embedded\"", "\"\(folder.path)/sae\"", "\"/\"", "0"]), ("threads", ["1", "0"]),
                ("layer", ["\"\(layer)\"", "\"unet.\(layer)\"", "\"x\"", "null"]),
            ], always: 1)
        replace(&sae, made("lvo_sae_open") { lvo_sae_open(settings, $0, $1) }) { lvo_sae_free($0) }
    }

    private func openTrainer(soundly: Bool = false) {
        let small = #"{"width": 8, "latents": 32, "k": 4, "steps": 6, "batch_tokens": 24, "threads": 1}"#
        let settings = soundly ? small : dice.object(
            [
                ("width", ["8", "1", "0", "-8", "1048576"]), ("latents", ["32", "1", "0", "1073741824"]), ("k",
                    ["4", "33", "0"]),
                ("steps", ["6", "0", "1e3"]), ("batch_tokens", ["24", "1", "16777216"]), ("threads", ["1"]),
                ("rule", ["\"topk\"", "\"batch_topk\"", "\"sample_topk\"", "\"relu\"", "\"jumprelu\"", "\"x\""]),
                ("input_unit_norm", ["true", "1"]), ("multi_topk", ["true", "false"]), ("prefixes", ["[8]", "[0]",
                    "[8, 4]", "[1.5]"]),
                ("learning_rate", ["0.01", "1e30", "0", "-1"]), ("schedule", ["\"linear\"", "\"x\""]), ("warm_up", ["2", "-1"]),
                ("resample_every", ["1", "-1"]), ("dead_after_tokens", ["0", "30"]), ("l1", ["1", "-1", "1e39"]),
                ("bandwidth", ["1", "0"]), ("max_gradient_norm", ["1e-3", "0"]), ("seed", ["1", "-1"]),
            ], always: 6)
        replace(&trainer, made("lvo_trainer_open") { lvo_trainer_open(settings, $0, $1) }) { lvo_trainer_free($0) }
    }

    private func closeSomething() {
        switch dice.below(8) {
        case 0: call("lvo_model_close") { lvo_model_close(someModel(), $0) }
        case 1: call("lvo_sae_close") { lvo_sae_close(someAutoencoder(), $0) }
        case 2: call("lvo_trainer_close") { lvo_trainer_close(someTrainer(), $0) }
        case 3: call("lvo_model_cancel") { lvo_model_cancel(someModel(), $0) }
        case 4: call("lvo_sae_cancel") { lvo_sae_cancel(someAutoencoder(), $0) }
        case 5:
            lvo_model_free(model)
            model = nil
        case 6:
            lvo_sae_free(sae)
            lvo_trainer_free(trainer)
            (sae, trainer) = (nil, nil)
        default: keep(trace: nil)
        }
        // What was closed is freed some time later, so that calls find it closed.
        if dice.once(in: 2) {
            lvo_model_free(model)
            model = nil
        }
    }

    func keep(trace: (handle: OpaquePointer, output: Int, latent: Int)?) {
        lvo_trace_free(self.trace?.handle)
        self.trace = trace
    }
}
