import CLVO
import Foundation
import Synchronization
import Testing

@Suite struct CThreadTests {
    /// A dream that would take hours.
    private static let long = """
        {"layer": "\(layer)", "objectives": [{"channel": 3}], "timesteps": [301], "seeds": [1], "preset": "raw",
            "steps": 1000000}
        """

    private func dream(_ model: OpaquePointer, progress: lvo_progress?, user: UnsafeMutableRawPointer? = nil) -> CallError? {
        refusal { error in
            var result: OpaquePointer?
            return lvo_model_dream(model, Self.long, nil, nil, nil, 0, progress, user, &result, error)
        }
    }

    @Test func anotherThreadCancels() throws {
        let model = try Handle.model()
        nonisolated(unsafe) let pointer = model.pointer
        let isDone = Atomic<Bool>(false)
        let waiting = DispatchSemaphore(value: 0)
        withExtendedLifetime(model) {
            DispatchQueue.global().async {
                // A cancellation that comes before the call has no effect.
                while !isDone.load(ordering: .relaxed) {
                    lvo_model_cancel(pointer, nil)
                    usleep(20_000)
                }
                waiting.signal()
            }
            let error = dream(pointer, progress: nil)
            isDone.store(true, ordering: .relaxed)
            waiting.wait()
            #expect(error == CallError(code: LVO_CANCELLED, message: "cancelled"))
        }
        // The model goes on.
        #expect(throws: Never.self) { try Inputs.of(model).forward(model, "conv_in", shape: [1, 32, 16, 16]) }
    }

    @Test func aCallbackCancels() throws {
        let model = try Handle.model()
        var steps = 0
        let error = withUnsafeMutablePointer(to: &steps) { steps in
            dream(
                model.pointer,
                progress: { user, done, total, json in
                    guard let user, let json, total == 1_000_000, String(cString: json).contains("\"activations\"") else {
                        return 2
                    }
                    user.assumingMemoryBound(to: Int.self).pointee += 1
                    return done == 3 ? 1 : 0
                }, user: steps)
        }
        #expect(error == CallError(code: LVO_CANCELLED, message: "cancelled by the callback") && steps == 3)
    }

    @Test func aCallbackMayNotCallTheModelAtWork() throws {
        let model = try Handle.model()
        let error = dream(
            model.pointer,
            progress: { user, _, _, _ in
                var text: UnsafeMutablePointer<CChar>?
                guard let user, lvo_model_describe(OpaquePointer(user), 0, 0, &text, nil) == Int32(LVO_INVALID_ARGUMENT),
                    lvo_model_close(OpaquePointer(user), nil) == Int32(LVO_INVALID_ARGUMENT)
                else { return 0 }
                // But it may cancel.
                lvo_model_cancel(OpaquePointer(user), nil)
                return 0
            }, user: UnsafeMutableRawPointer(model.pointer))
        #expect(error == CallError(code: LVO_CANCELLED, message: "cancelled"))
    }

    @Test func callsOfManyThreadsTakeTurns() throws {
        let model = try Handle.model()
        let inputs = try Inputs.of(model)
        let expected = try inputs.forward(model, layer, shape: [1, 64, 8, 8])
        nonisolated(unsafe) let shared = model
        let agreeing = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<4 where (try? inputs.forward(shared, layer, shape: [1, 64, 8, 8])) == expected {
                agreeing.add(1, ordering: .relaxed)
            }
        }
        #expect(agreeing.load(ordering: .relaxed) == 32)
    }

    @Test func aModelFreedDuringACallLivesUntilItsEnd() throws {
        var model: OpaquePointer?
        try call { lvo_model_open(#"{"model": "embedded", "threads": 2}"#, &model, $0) }
        let error = dream(
            try #require(model),
            progress: { user, done, _, _ in
                if done == 2 { lvo_model_free(user.map { OpaquePointer($0) }) }
                return done == 4 ? 1 : 0
            }, user: model.map { UnsafeMutableRawPointer($0) })
        #expect(error?.code == LVO_CANCELLED)
    }
}
