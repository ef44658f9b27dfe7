import CLVO
import Experiments
import Files
import Foundation
import TestSupport
import Testing

@Suite struct CErrorTests {
    @Test func codesHaveTheNamesOfTheHeader() {
        let codes = [
            LVO_OK: "LVO_OK", LVO_INVALID_ARGUMENT: "LVO_INVALID_ARGUMENT", LVO_NOT_FOUND: "LVO_NOT_FOUND",
            LVO_BAD_FILE: "LVO_BAD_FILE", LVO_UNSUPPORTED: "LVO_UNSUPPORTED", LVO_CLOSED: "LVO_CLOSED",
            LVO_CANCELLED: "LVO_CANCELLED", LVO_FORKED: "LVO_FORKED", LVO_OUT_OF_MEMORY: "LVO_OUT_OF_MEMORY",
            LVO_CANNOT_WRITE: "LVO_CANNOT_WRITE", LVO_FAILED: "LVO_FAILED",
        ]
        for (code, name) in codes { #expect(String(cString: lvo_code_name(Int32(code))) == name) }
        for code in [-1, 11, Int32.max, .min] { #expect(String(cString: lvo_code_name(code)) == "unknown") }
    }

    @Test func theVersionIsTheReleases() {
        #expect(String(cString: lvo_version()) == Release.version)
    }

    @Test(arguments: [
        (nil, LVO_INVALID_ARGUMENT, "model is needed"), ("{", LVO_INVALID_ARGUMENT, "JSON, byte"),
        ("[]", LVO_INVALID_ARGUMENT, "expected a JSON object, found an array"),
        (#"{"model": 3}"#, LVO_INVALID_ARGUMENT, "settings: model: expected a string, found a number"),
        (#"{"modell": "embedded"}"#, LVO_INVALID_ARGUMENT, "unknown key modell; the nearest known one is model"),
        (#"{"model": "embedded", "threads": 0}"#, LVO_INVALID_ARGUMENT, "threads: expected a whole number from 1 to"),
        (#"{"model": "embedded", "precision": "f8"}"#, LVO_INVALID_ARGUMENT, "expected one of f32, bf16, auto, found f8"),
        (#"{"model": "embedded", "loras": [{"scale": 1}]}"#, LVO_INVALID_ARGUMENT, "settings: loras[0]: path is needed"),
        (#"{"model": "/nowhere"}"#, LVO_NOT_FOUND, "/nowhere"),
        (#"{"model": "embedded", "vae": "/nowhere"}"#, LVO_NOT_FOUND, "/nowhere"),
    ] as [(String?, Int, String)])
    func openingTellsWhatIsWrong(settings: String?, code: Int, message: String) {
        var model: OpaquePointer? = OpaquePointer(bitPattern: 1)
        let error = refusal { lvo_model_open(settings, &model, $0) }
        #expect(error?.code == code && error?.message.contains(message) == true, "\(error?.message ?? "none")")
        #expect(model == nil)
    }

    @Test func settingsMustBeUTF8() {
        var model: OpaquePointer?
        let error = refusal { error in [CChar(bitPattern: 0xff), 0].withUnsafeBufferPointer {
            lvo_model_open($0.baseAddress, &model, error)
        } }
        #expect(error == CallError(code: LVO_INVALID_ARGUMENT, message: "settings: expected UTF-8, found other bytes"))
    }

    @Test func nullIsRefusedEverywhere() {
        #expect(refusal { lvo_model_open(#"{"model": "embedded"}"#, nil, $0) }?.code == LVO_INVALID_ARGUMENT)
        #expect(refusal { lvo_model_close(nil, $0) }?.message == "model: expected a handle, found NULL")
        #expect(refusal { lvo_sae_cancel(nil, $0) }?.message == "sae: expected a handle, found NULL")
        #expect(refusal { lvo_trainer_close(nil, $0) }?.message == "trainer: expected a handle, found NULL")
        #expect(refusal { lvo_trace_gradient(nil, nil, 0, nil, 0, $0) }?.message == "trace: expected a handle, found NULL")
        #expect(lvo_model_close(nil, nil) == Int32(LVO_INVALID_ARGUMENT))
        lvo_model_free(nil)
        lvo_trace_free(nil)
        lvo_sae_free(nil)
        lvo_trainer_free(nil)
        lvo_result_free(nil)
        lvo_text_free(nil)
    }

    @Test func aClosedModelSaysSo() throws {
        let model = try Handle.model()
        let inputs = try Inputs.of(model)
        var trace: OpaquePointer?
        _ = try inputs.forward(model, "conv_in", shape: [1, 32, 16, 16], trace: &trace)
        try call { lvo_model_close(model.pointer, $0) }
        try call { lvo_model_close(model.pointer, $0) }
        let closed = CallError(code: LVO_CLOSED, message: "the model is closed")
        #expect(throws: closed) { try inputs.forward(model, "conv_in", shape: [1, 32, 16, 16]) }
        #expect(refusal { lvo_trace_gradient(trace, [0], 1, nil, 0, $0) } == closed)
        lvo_trace_free(trace)
    }

    @Test func aMessageIsCutAtAWholeCharacter() throws {
        let name = String(repeating: "ü", count: 2000)
        let error = try #require(refusal { error in
            var model: OpaquePointer?
            return lvo_model_open(#"{"model": "\#(name)"}"#, &model, error)
        })
        #expect(error.message.utf8.count > 1000 && error.message.allSatisfy { $0 == "ü" })
    }

    @Test func anErrorNeedNotBeAskedFor() {
        var model: OpaquePointer?
        #expect(lvo_model_open("{", &model, nil) == Int32(LVO_INVALID_ARGUMENT))
    }
}
