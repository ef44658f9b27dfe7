import Ops
import Tensors

/// Two 3×3 convolutions with a residual, `ResnetBlock2D` in diffusers:
///
///     y = shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))) + timeBias)));   timeBias = time_emb_proj(silu(temb))
///
/// `x [B,h,w,Cin] → y [B,h,w,Cout]`. `conv_shortcut` (1×1) exists when the width changes. The time step enters as one
/// number per channel, which is why it is computed once per time step and not here. The VAE's blocks have none.
struct ResnetBlock: Sendable {
    let norm1: GroupNorm
    let conv1: Convolution
    let timeProjection: Linear?
    let norm2: GroupNorm
    let conv2: Convolution
    let convShortcut: Convolution?

    /// - Parameter timeWidth: of the time embedding; nil in the VAE.
    init(
        _ build: LayerBuilder, inChannels: Int, outChannels: Int, timeWidth: Int? = nil, groups: Int, epsilon: Float
    ) {
        norm1 = build.groupNorm("norm1", inChannels, groups: groups, epsilon: epsilon)
        conv1 = build.convolution("conv1", inChannels, outChannels)
        timeProjection = timeWidth.map { build.inFloat32.linear("time_emb_proj", $0, outChannels) }
        norm2 = build.groupNorm("norm2", outChannels, groups: groups, epsilon: epsilon)
        conv2 = build.convolution("conv2", outChannels, outChannels)
        convShortcut =
            inChannels == outChannels
            ? nil : build.convolution("conv_shortcut", inChannels, outChannels, kernel: 1)
    }

    /// `[1, Cout]` from `silu(temb)`; nil in the VAE.
    func timeBias(_ embedding: Tensor) -> Tensor? { timeProjection?.forward(embedding) }

    /// The inputs of both norms: `B·h·w·(Cin + Cout)` floats. Convolutions need nothing for their input gradient.
    struct Saved {
        let x: Tensor
        let norm1: GroupNorm.Saved
        let hidden: Tensor
        let norm2: GroupNorm.Saved
    }

    // `consume` ends a map's life at its last reader: Swift would keep a named value to the end of the function.

    func forward(_ x: Tensor, timeBias: Tensor? = nil) -> (y: Tensor, saved: Saved) {
        let (normed1, saved1) = norm1.forward(x, silu: true)
        let hidden = conv1.forward(consume normed1, channelBias: timeBias)
        let (normed2, saved2) = norm2.forward(hidden, silu: true)
        let shortcut = convShortcut?.forward(x) ?? x
        let y = conv2.forward(consume normed2, adding: consume shortcut)
        return (y, Saved(x: x, norm1: saved1, hidden: hidden, norm2: saved2))
    }

    /// The forward pass alone: nothing is kept, and maps are normalized in their own place once nobody else reads them.
    /// At the VAE's widest place that is 536 MB instead of 670 for a picture of 512×512.
    ///
    /// - Precondition: nobody reads x afterwards.
    func infer(_ x: consuming Tensor) -> Tensor {
        guard let convShortcut else {
            let hidden = conv1.forward(norm1.forward(x, silu: true).y)
            return conv2.forward(norm2.infer(consume hidden, silu: true), adding: consume x)
        }
        let shortcut = convShortcut.forward(x)
        let hidden = conv1.forward(norm1.infer(consume x, silu: true))
        return conv2.forward(norm2.infer(consume hidden, silu: true), adding: consume shortcut)
    }

    func backwardInput(_ dy: Tensor, saved: Saved) -> Tensor {
        let dNormed2 = conv2.backwardInput(dy, inputShape: saved.hidden.shape)
        let dHidden = norm2.backwardInput(consume dNormed2, x: saved.hidden, saved: saved.norm2, silu: true)
        let dNormed1 = conv1.backwardInput(consume dHidden, inputShape: saved.x.shape)
        let dShortcut = convShortcut?.backwardInput(dy, inputShape: saved.x.shape) ?? dy
        return norm1.backwardInput(
            consume dNormed1, x: saved.x, saved: saved.norm1, silu: true, adding: consume dShortcut)
    }
}
