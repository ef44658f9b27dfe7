import Files
import Tensors

/// Something that makes the activations of whole pictures, of several layers at once, such as a diffusion model that
/// draws them. Picture `index` is always the same.
public protocol PictureActivations: AnyObject {
    /// What the pictures come from: everything on which `picture` depends but the choice of layers.
    var origin: JSON { get }
    /// Channels and positions of a map, by layer.
    var layers: [(name: String, width: Int, positions: Int)] { get }

    /// Per layer the maps of a picture's time steps, `[positions, width]` each; nil after the last picture.
    func picture(_ index: Int) throws -> [[Tensor]]?
}
