/// Which way up a camera held the picture: Exif's tag 0x0112, 1 to 8. Anything not understood counts as upright.
enum Exif {
    private static let tag: UInt16 = 0x0112
    private static let signature = Array("Exif\0\0".utf8)

    /// In the first APP1 segment with Exif data.
    static func orientation(jpeg bytes: [UInt8]) -> Int {
        var position = 2
        while bytes.count - position >= 4, bytes[position] == 0xFF {
            let marker = bytes[position + 1]
            // Any number of bytes FF may fill the space before a marker.
            if marker == 0xFF {
                position += 1
                continue
            }
            let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
            guard marker != 0xDA, length >= 2, length <= bytes.count - position - 2 else { return 1 }
            let segment = bytes[position + 4..<position + 2 + length]
            if marker == 0xE1, segment.starts(with: signature) {
                return orientation(tiff: segment.dropFirst(signature.count))
            }
            position += 2 + length
        }
        return 1
    }

    /// In the RIFF chunk `EXIF`.
    static func orientation(webp bytes: [UInt8]) -> Int {
        var position = 12
        while bytes.count - position >= 8 {
            let length = bytes[position + 4..<position + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - position - 8 else { return 1 }
            let chunk = bytes[position + 8..<position + 8 + length]
            if bytes[position..<position + 4].elementsEqual("EXIF".utf8) {
                return orientation(tiff: chunk.starts(with: signature) ? chunk.dropFirst(signature.count) : chunk)
            }
            position += 8 + length + length % 2
        }
        return 1
    }

    /// Of the first directory of a TIFF header, in either byte order.
    static func orientation(tiff: ArraySlice<UInt8>) -> Int {
        let isLittle = tiff.starts(with: Array("II*\0".utf8))
        guard isLittle || tiff.starts(with: Array("MM\0*".utf8)) else { return 1 }
        func number(_ offset: Int, _ count: Int) -> Int? {
            guard offset >= 0, offset <= tiff.count - count else { return nil }
            let part = tiff[tiff.startIndex + offset..<tiff.startIndex + offset + count]
            return (isLittle ? Array(part.reversed()) : Array(part)).reduce(0) { $0 << 8 | Int($1) }
        }
        guard let directory = number(4, 4), let count = number(directory, 2) else { return 1 }
        for index in 0..<count {
            let entry = directory + 2 + 12 * index
            guard let found = number(entry, 2) else { return 1 }
            if found == Int(tag) {
                // One 16-bit number (type 3) stands in the entry itself.
                return number(entry + 2, 2) == 3 ? number(entry + 8, 2).flatMap { (1...8).contains($0) ? $0 : nil } ?? 1 : 1
            }
        }
        return 1
    }
}

extension Bitmap {
    /// The picture as Exif's orientation (1 to 8) says it is to be seen: 5 to 8 swap the sides, 3 is upside down.
    func turned(_ orientation: Int) -> Bitmap {
        guard (2...8).contains(orientation) else { return self }
        let swaps = orientation >= 5
        let (columns, rows) = swaps ? (height, width) : (width, height)
        let mirrorsX = [2, 3, 7, 8].contains(orientation)
        let mirrorsY = [3, 4, 6, 7].contains(orientation)
        var result = [UInt8](repeating: 0, count: pixels.count)
        for row in 0..<rows {
            for column in 0..<columns {
                let (a, b) = swaps ? (row, column) : (column, row)
                let (x, y) = (mirrorsX ? width - 1 - a : a, mirrorsY ? height - 1 - b : b)
                for c in 0..<3 { result[(row * columns + column) * 3 + c] = pixels[(y * width + x) * 3 + c] }
            }
        }
        return Bitmap(width: columns, height: rows, pixels: result)
    }
}
