import Files
import Visualization

/// A layer seen as channels or as features.
public struct Site: Sendable, Hashable {
    public let layer: String
    public let space: Space

    public init(layer: String, space: Space) {
        self.layer = layer
        self.space = space
    }

    /// Path of its results under a stage's folder.
    public var path: String { "\(layer)/\(space.rawValue)" }
}

/// One channel or feature of a layer.
public struct Subject: Sendable, Hashable {
    public let site: Site
    public let index: Int

    public init(site: Site, index: Int) {
        self.site = site
        self.index = index
    }

    /// Path of its results under a stage's folder; indices sort as numbers do.
    public var path: String { "\(site.path)/\(Text.digits(index, 5))" }
}

/// A subject at a time step: what a dream is of.
public struct DreamSubject: Sendable, Hashable {
    public let subject: Subject
    public let timestep: Int

    /// Path of its results under a stage's folder.
    var path: String { "\(subject.path)/t\(Text.digits(timestep, 4))" }
}
