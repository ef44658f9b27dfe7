import CLVO
import Ops
import Pictures
import StableDiffusion
import Tensors

@c @implementation
public func lvo_model_encode_pictures(
    _ model: OpaquePointer?, _ pictures: UnsafePointer<Float>?, _ pictures_shape: UnsafePointer<Int64>?,
    _ sampled: Int32, _ seed: UInt64, _ latents: UnsafeMutablePointer<Float>?, _ latents_count: Int64,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        guard (0...1).contains(sampled) else { throw Refusal("sampled: expected 0 or 1, found \(sampled)") }
        try ModelBox.of(model).take { model, turn in
            let config = try model.folder.vaeConfig()
            let (factor, most) = (config.pixelFactor, UNetConfig.largestSide * config.pixelFactor)
            let shape = try Argument.shape(pictures_shape, axes: 4, "pictures", "[B, H, W, 3]")
            guard shape[3] == config.imageChannels, shape[1] % factor == 0, shape[2] % factor == 0, shape[1] <= most,
                shape[2] <= most
            else {
                throw Refusal(
                    "pictures: expected [B, H, W, \(config.imageChannels)] with H and W multiples of \(factor) up to \(most), "
                        + "found \(shape)")
            }
            try model.session.checkPicture(height: shape[1], width: shape[2])
            let latent = [1, config.latentChannels, shape[1] / factor, shape[2] / factor]
            let target = try Argument.output(
                latents, count: latents_count, expected: [shape[0]] + latent[1...], "latents")
            let source = try Argument.floats(pictures, "pictures")
            try Argument.checkFinite(source, shape, "pictures")
            let encoder = try model.session.pictureEncoder()
            var random = TorchGenerator(seed: seed)
            let one = [1] + shape[1...]
            for sample in 0..<shape[0] {
                try turn.check()
                let picture = try Argument.tensor(source + sample * one.reduce(1, *), one, "pictures")
                let noise = sampled == 1 ? random.randn(latent) : nil
                let found = try encoder.encode(picture).latent(noise: noise)
                (target + sample * found.count).update(from: found.pointer, count: found.count)
            }
        }
    }
}

@c @implementation
public func lvo_model_decode(
    _ model: OpaquePointer?, _ latents: UnsafePointer<Float>?, _ latents_shape: UnsafePointer<Int64>?,
    _ pictures: UnsafeMutablePointer<Float>?, _ pictures_count: Int64, _ rgb: UnsafeMutablePointer<UInt8>?,
    _ rgb_count: Int64, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        if pictures == nil, rgb == nil { throw Refusal("pictures, rgb: expected one of them at least, found NULL") }
        try ModelBox.of(model).take { model, turn in
            let shape = try Pass.latentShape(latents_shape, "latents", model)
            let config = try model.folder.vaeConfig()
            guard shape[1] == config.latentChannels else {
                throw Refusal("latents: expected \(config.latentChannels) channels as the VAE has, found \(shape[1])")
            }
            let (height, width) = (shape[2] * config.pixelFactor, shape[3] * config.pixelFactor)
            try model.session.checkPicture(height: height, width: width)
            let picture = [shape[0], height, width, config.imageChannels]
            let floats = try pictures.map {
                try Argument.output($0, count: pictures_count, expected: picture, "pictures")
            }
            let bytes = try rgb.map { try Argument.output($0, count: rgb_count, expected: picture, "rgb") }
            let source = try Argument.floats(latents, "latents")
            try Argument.checkFinite(source, shape, "latents")
            let decoder = try model.session.decoder()
            let (one, size) = ([1] + shape[1...], picture[1...].reduce(1, *))
            for sample in 0..<shape[0] {
                try turn.check()
                let latent = try Argument.tensor(source + sample * one.reduce(1, *), one, "latents")
                let image = decoder.decode(latent)
                if let floats { (floats + sample * size).update(from: image.pointer, count: size) }
                if let bytes { (bytes + sample * size).update(from: Bitmap.pictures(image)[0].pixels, count: size) }
            }
        }
    }
}
