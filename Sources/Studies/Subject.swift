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

/// How a dream is made.
public enum DreamWay: Sendable, Hashable {
    /// With the study's settings.
    case own
    /// For comparison, with those of a preset.
    case preset(String)
}

/// A subject at a time step, and the way it is dreamt: what a dream is.
public struct DreamSubject: Sendable, Hashable {
    public let subject: Subject
    public let timestep: Int
    public let way: DreamWay

    public init(subject: Subject, timestep: Int, way: DreamWay = .own) {
        self.subject = subject
        self.timestep = timestep
        self.way = way
    }

    /// Path of its results under a stage's folder.
    var path: String {
        let place = "\(subject.path)/t\(Text.digits(timestep, 4))"
        return if case .preset(let name) = way { "\(place)-\(name)" } else { place }
    }
}
