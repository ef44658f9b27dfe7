import Experiments
import Files
import Ops
import Pictures
import SparseAutoencoders
import StableDiffusion
import Visualization

/// A Stable Diffusion model with sparse autoencoders of its layers, as a study sees it. Loaded piece by piece, when a
/// stage first needs it: a status or a report reads no weights.
public final class NetworkModel: StudyModel {
    public let session: ModelSession
    public var name: String { session.name }

    private let judgeReference: JudgeReference
    private var knownJudge: (any PictureJudge)??
    /// Folder of the autoencoders of another training seed, and those that have been read.
    let secondFolder: String?
    var knownSeconds: [String: SparseAutoencoder] = [:]

    public init(_ session: ModelSession, judge: JudgeReference = .none, secondAutoencoders: String? = nil) {
        self.session = session
        judgeReference = judge
        secondFolder = secondAutoencoders
    }

    public func judge() throws -> (any PictureJudge)? {
        if let knownJudge { return knownJudge }
        let judge = try judgeReference.path(session).map { try Judge(path: $0, engine: session.engine) }
        knownJudge = .some(judge)
        return judge
    }

    public func identity() throws -> JSON { try session.identity().json }

    public func identity(of site: Site) throws -> JSON {
        site.space == .features ? try session.autoencoderIdentity(site.layer) : .null
    }

    public func width(of site: Site) throws -> Int {
        let hook = try session.hook(site.layer)
        return site.space == .channels ? hook.channels : try session.autoencoder(site.layer).numLatents
    }

    func hook(_ layer: String) throws -> HookPoint { try session.hook(layer) }

    func encoder(_ layer: String) throws -> FeatureEncoder { try session.encoder(layer) }

    func generator() throws -> Generator { try session.generator() }

    func decoder() throws -> VAEDecoder { try session.decoder() }

    /// Height and width of latents for pictures of a size.
    func latentSize(_ settings: DrawSettings) throws -> (height: Int, width: Int) {
        try session.folder.latentSize(pixelWidth: settings.width, pixelHeight: settings.height)
    }

    var latentChannels: Int { session.folder.unetConfig.inChannels }
}
