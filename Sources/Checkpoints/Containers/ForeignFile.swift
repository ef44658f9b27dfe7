import Files

/// Files that people give in place of weights, told by their first bytes.
enum ForeignFile {
    private static let kinds: [(start: [UInt8], what: String, advice: String)] = [
        (
            Array("version https://git-lfs.github.com/spec/".utf8), "a Git LFS pointer in place of the file itself",
            "fetch the contents with `git lfs pull`, or download the file again"
        ),
        (Array("<!DOCTYPE".utf8), "a web page in place of the file", "download it again; the site may ask to log in"),
        (Array("<!doctype".utf8), "a web page in place of the file", "download it again; the site may ask to log in"),
        (Array("<html".utf8), "a web page in place of the file", "download it again; the site may ask to log in"),
        ([0x89, 0x48, 0x44, 0x46], "an HDF5 file (Keras)", "convert it to safetensors with PyTorch"),
        ([0x1F, 0x8B], "compressed with gzip", "unpack it first"),
        ([0x89, 0x50, 0x4E, 0x47], "a PNG picture", "give a file of weights (.safetensors, .ckpt, .pt, .gguf)"),
        ([0xFF, 0xD8, 0xFF], "a JPEG picture", "give a file of weights (.safetensors, .ckpt, .pt, .gguf)"),
        (Array("Rar!".utf8), "a RAR archive", "unpack it first"),
        ([0x28, 0xB5, 0x2F, 0xFD], "compressed with zstd", "unpack it first"),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "compressed with xz", "unpack it first"),
        ([0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], "a 7-Zip archive", "unpack it first"),
    ]

    /// - Throws: `FileFailure.unsupported` that says what the file is.
    static func refuse(_ bytes: UnsafeRawBufferPointer, file: String) throws(FileFailure) {
        for kind in kinds where bytes.starts(with: kind.start) {
            throw .unsupported(file: file, found: "it is \(kind.what)", advice: kind.advice)
        }
    }
}
